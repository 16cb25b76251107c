import { useInfiniteQuery } from "@tanstack/react-query";
import { UserPlus } from "lucide-react";
import { useState } from "react";

import { LoadMore } from "@/layout/load-more";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";

import { InviteDialog } from "./invite";
import { InvitationItem } from "./invitation-item";
import { MemberItem } from "./member-item";
import { invitationsQuery, membersQuery } from "./queries";
import { Loaded, Section } from "./section";

/** The members of the company, and the invitations that are open. */
export function TeamSection() {
  const { settings } = useTexts("settings");
  const [isInviting, setInviting] = useState(false);
  return (
    <Section
      name="team"
      actions={
        <Button onClick={() => setInviting(true)}>
          <UserPlus aria-hidden /> {settings.team.invite}
        </Button>
      }
    >
      <Members />
      <Invitations />
      {isInviting && <InviteDialog onClose={() => setInviting(false)} />}
    </Section>
  );
}

function Members() {
  const { settings } = useTexts("settings");
  const list = useInfiniteQuery(membersQuery);
  return (
    <Card>
      <CardHeader>
        <CardTitle>{settings.team.members}</CardTitle>
      </CardHeader>
      <CardContent className="grid gap-3">
        <Loaded query={list}>
          {({ pages }) => {
            const members = pages.flatMap(({ data }) => data);
            return (
              <ul className="divide-y">
                {members.map((member) => (
                  <MemberItem key={member.user_id} member={member} members={members} />
                ))}
              </ul>
            );
          }}
        </Loaded>
        <LoadMore list={list} />
      </CardContent>
    </Card>
  );
}

function Invitations() {
  const { settings } = useTexts("settings");
  const list = useInfiniteQuery(invitationsQuery);
  return (
    <Card>
      <CardHeader>
        <CardTitle>{settings.team.invitations}</CardTitle>
      </CardHeader>
      <CardContent className="grid gap-3">
        <Loaded query={list}>
          {({ pages }) => {
            const invitations = pages.flatMap(({ data }) => data);
            if (invitations.length === 0) return <p className="text-sm text-muted-foreground">{settings.team.noInvitations}</p>;
            return (
              <ul className="divide-y">
                {invitations.map((invitation) => (
                  <InvitationItem key={invitation.id} invitation={invitation} />
                ))}
              </ul>
            );
          }}
        </Loaded>
        <LoadMore list={list} />
      </CardContent>
    </Card>
  );
}
