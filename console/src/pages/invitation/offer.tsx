import { Link } from "@tanstack/react-router";
import { type ReactNode, useMemo } from "react";

import type { Schemas } from "@/api/client";
import { createFormat } from "@/lib/format";
import { useLanguage, useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";
import { Card, CardContent } from "@/ui/card";

import type { InvitationEnd } from "./query";

/** Formats times in the browser's timezone, and names it: a person who is invited has no company's timezone yet. */
function useLocalFormat() {
  const language = useLanguage();
  return useMemo(
    () => createFormat({ language, currency: "USD", timezone: new Intl.DateTimeFormat().resolvedOptions().timeZone }),
    [language],
  );
}

/** Who invites, with which role, for whom and until when. */
export function Offer({ invitation }: { invitation: Schemas["OpenInvitation"] }) {
  const { auth, layout } = useTexts("auth");
  const format = useLocalFormat();
  const { invited_by: inviter, email, expires_at: expiresAt } = invitation;
  const role = invitation.role === "owner" ? "owner" : "support";
  return (
    <Card>
      <CardContent>
        <dl className="grid gap-3 text-sm">
          {inviter != null && (
            <Row label={auth.offer.from}>
              <bdi>{inviter}</bdi>
            </Row>
          )}
          <Row label={auth.offer.role}>
            {layout.roles[role]}
            <p className="text-muted-foreground">{auth.offer.roles[role]}</p>
          </Row>
          <Row label={auth.offer.for}>{email == null ? auth.offer.anybody : auth.offer.onlyFor(email)}</Row>
          <Row label={auth.offer.until}>{auth.offer.untilOnce(format.dateTimeInZone(expiresAt))}</Row>
        </dl>
      </CardContent>
    </Card>
  );
}

function Row({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="grid gap-0.5 sm:grid-cols-[8rem_1fr] sm:gap-3">
      <dt className="text-muted-foreground">{label}</dt>
      <dd className="min-w-0 [overflow-wrap:anywhere]">{children}</dd>
    </div>
  );
}

interface EndedProps {
  end: InvitationEnd;
  endedAt: string | null;
  /** Leads back to the form for a code. */
  onOther: () => void;
}

/** Says why an invitation cannot be used, and what to do. */
export function Ended({ end, endedAt, onOther }: EndedProps) {
  const { auth } = useTexts("auth");
  const format = useLocalFormat();
  const text = auth.ended[end];
  return (
    <div className="grid gap-4">
      <Alert variant="warning" role="alert">
        <div className="grid gap-1">
          <strong className="font-semibold">{text.title}</strong>
          {endedAt !== null && <span>{auth.ended.at(format.dateTimeInZone(endedAt))}</span>}
          <span>{text.hint}</span>
        </div>
      </Alert>
      <div className="flex flex-wrap gap-3">
        <Button asChild>
          <Link to="/sign-in">{auth.signIn}</Link>
        </Button>
        <Button variant="outline" onClick={onOther}>
          {auth.ended.other}
        </Button>
      </div>
    </div>
  );
}
