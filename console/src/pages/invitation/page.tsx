import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type SubmitEvent, useEffect, useState } from "react";

import { call, client } from "@/api/client";
import { chooseCompany, session } from "@/api/session";
import { FormError } from "@/layout/form-error";
import { useTitle } from "@/layout/page";
import { useFragmentToken } from "@/lib/fragment-token";
import { useStore } from "@/lib/store";
import { SignInForm } from "@/pages/sign-in/form";
import { SignUpForm } from "@/pages/sign-up/form";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Card, CardContent } from "@/ui/card";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";

/** Joins a company by an invitation: with a new account, or with the one that is signed in. */
export function InvitationPage() {
  const { auth } = useTexts("auth");
  const linked = useFragmentToken();
  const [typed, setTyped] = useState<string | null>(null);
  const token = linked ?? typed;
  useTitle(auth.invitationTitle);
  return (
    <div className="grid gap-5">
      <div className="grid gap-1">
        <h1 className="text-2xl font-semibold tracking-tight">{auth.invitationTitle}</h1>
        <p className="text-sm text-muted-foreground">{auth.invitationLead}</p>
      </div>
      <Card>
        <CardContent>{token === null ? <TokenForm onToken={setTyped} /> : <Join invitation={token} />}</CardContent>
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

function Join({ invitation }: { invitation: string }) {
  const { auth } = useTexts("auth");
  const state = useStore(session);
  const navigate = useNavigate();
  // A sign-up by the invitation joins by itself; only who was signed in, or signs in here, joins by a click.
  const [hasSignedUp, setSignedUp] = useState(false);
  const [hasAccount, setHasAccount] = useState(false);
  const isSignedIn = state.status === "signed-in";
  useEffect(() => {
    if (isSignedIn && hasSignedUp) void navigate({ to: "/", replace: true });
  }, [isSignedIn, hasSignedUp, navigate]);
  if (isSignedIn) return hasSignedUp ? null : <JoinSignedIn invitation={invitation} email={state.email} />;
  return (
    <div className="grid gap-5">
      {hasAccount ? <SignInForm /> : <SignUpForm invitation={invitation} onSignedUp={() => setSignedUp(true)} />}
      <p className="text-sm text-muted-foreground">
        {hasAccount ? auth.noAccount : auth.hasAccount}{" "}
        <button type="button" className="font-medium text-primary underline underline-offset-4" onClick={() => setHasAccount(!hasAccount)}>
          {hasAccount ? auth.signUp : auth.signIn}
        </button>
      </p>
    </div>
  );
}

function JoinSignedIn({ invitation, email }: { invitation: string; email: string }) {
  const { auth } = useTexts("auth");
  const navigate = useNavigate();
  const join = useMutation({
    mutationFn: async () => (await call(client.POST("/api/v1/auth/invitations", { body: { invitation } }))).data,
    onSuccess: async (company) => {
      chooseCompany(company.id);
      await navigate({ to: "/", replace: true });
    },
    meta: { showsError: true },
  });
  return (
    <div className="grid gap-4">
      <p className="text-sm break-words">{auth.joinAs(email)}</p>
      <FormError error={join.error} />
      <Button size="lg" isBusy={join.isPending} onClick={() => join.mutate()}>
        {auth.join}
      </Button>
    </div>
  );
}
