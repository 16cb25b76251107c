import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type SubmitEvent, useEffect, useState } from "react";

import { session } from "@/api/session";
import { useTitle } from "@/layout/page";
import { ErrorState, LoadingState } from "@/layout/states";
import { useFragmentToken } from "@/lib/fragment-token";
import { useStore } from "@/lib/store";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Card, CardContent } from "@/ui/card";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";

import { Join } from "./join";
import { Ended, Offer } from "./offer";
import { invitationQuery, readEnd } from "./query";

/** Shows what an invitation offers, and joins its company: with a new account, or with the one that is signed in. */
export function InvitationPage() {
  const { auth } = useTexts("auth");
  const linked = useFragmentToken();
  const [token, setToken] = useState(linked);
  useTitle(auth.invitationTitle);
  if (token !== null) return <Invitation token={token} onOther={() => setToken(null)} />;
  return (
    <div className="grid gap-5">
      <div className="grid gap-1">
        <h1 className="text-2xl font-semibold tracking-tight">{auth.invitationTitle}</h1>
        <p className="text-sm text-muted-foreground">{auth.invitationLead}</p>
      </div>
      <Card>
        <CardContent>
          <TokenForm onToken={setToken} />
        </CardContent>
      </Card>
    </div>
  );
}

/** Form for the token of an invitation, for a person who got the token without its link. */
function TokenForm({ onToken }: { onToken: (token: string) => void }) {
  const { auth, common } = useTexts("auth");
  const [isMissing, setMissing] = useState(false);
  const submit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const value = new FormData(event.currentTarget).get("token");
    const token = typeof value === "string" ? value.trim() : "";
    if (token === "") setMissing(true);
    else onToken(token);
  };
  return (
    <form noValidate className="grid gap-4" onSubmit={submit}>
      <Field label={auth.invitationCode} hint={auth.invitationCodeHint} error={isMissing ? common.required : undefined}>
        {(control) => <Input {...control} name="token" autoComplete="off" spellCheck={false} />}
      </Field>
      <Button type="submit" size="lg">
        {auth.next}
      </Button>
    </form>
  );
}

function Invitation({ token, onOther }: { token: string; onOther: () => void }) {
  const { auth } = useTexts("auth");
  const [hasSignedUp, setSignedUp] = useState(false);
  // A new session clears all that was read. The invitation is used by then, and is not asked for again.
  const invitation = useQuery({ ...invitationQuery(token), enabled: !hasSignedUp });
  const state = useStore(session);
  const navigate = useNavigate();
  const hasJoined = hasSignedUp && state.status === "signed-in";
  useEffect(() => {
    if (hasJoined) void navigate({ to: "/", replace: true });
  }, [hasJoined, navigate]);
  if (hasJoined) return null;
  const ended = readEnd(invitation.error);
  const company = ended === null ? invitation.data?.company_name : undefined;
  return (
    <div className="grid gap-5">
      <h1 className="text-2xl font-semibold tracking-tight [overflow-wrap:anywhere]">
        {company === undefined ? auth.invitationTitle : auth.offer.title(company)}
      </h1>
      {ended !== null ? (
        <Ended {...ended} onOther={onOther} />
      ) : invitation.data !== undefined ? (
        <>
          <Offer invitation={invitation.data} />
          <Card>
            <CardContent>
              <Join token={token} invitation={invitation.data} onSignedUp={() => setSignedUp(true)} />
            </CardContent>
          </Card>
        </>
      ) : invitation.error !== null ? (
        <ErrorState error={invitation.error} onRetry={() => void invitation.refetch()} />
      ) : (
        <LoadingState rows={3} />
      )}
    </div>
  );
}
