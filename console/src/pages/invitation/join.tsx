import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";

import { call, client, type Schemas } from "@/api/client";
import { chooseCompany, session } from "@/api/session";
import { FormError } from "@/layout/form-error";
import { useStore } from "@/lib/store";
import { SignInForm } from "@/pages/sign-in/form";
import { SignUpForm } from "@/pages/sign-up/form";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";

import { invitationQuery, isInvitationRefused } from "./query";

interface JoinProps {
  token: string;
  invitation: Schemas["OpenInvitation"];
  onSignedUp: () => void;
}

/** Joins by a new account, or by the one that is signed in or signs in here. A sign-up joins by itself, others by a click. */
export function Join({ token, invitation, onSignedUp }: JoinProps) {
  const { auth } = useTexts("auth");
  const queries = useQueryClient();
  const state = useStore(session);
  const [hasAccount, setHasAccount] = useState(false);
  const [isRefused, setRefused] = useState(false);
  const showRefusal = (error: unknown) => {
    const isOfInvitation = isInvitationRefused(error);
    setRefused(isOfInvitation);
    // It may have ended since it was shown: then the page says why.
    if (isOfInvitation) void queries.invalidateQueries({ queryKey: invitationQuery(token).queryKey });
    return isOfInvitation;
  };
  const refusal = isRefused && (
    <Alert variant="destructive" role="alert">
      {invitation.email == null ? auth.refused : auth.refusedFor(invitation.email)}
    </Alert>
  );
  if (state.status === "signed-in") {
    return (
      <div className="grid gap-4">
        <JoinSignedIn token={token} email={state.email} onRefused={showRefusal} />
        {refusal}
      </div>
    );
  }
  return (
    <div className="grid gap-5">
      {hasAccount ? (
        <SignInForm />
      ) : (
        <SignUpForm
          invitation={token}
          emailHint={invitation.email == null ? undefined : auth.useAddress(invitation.email)}
          onSignedUp={onSignedUp}
          onRefused={showRefusal}
        />
      )}
      {refusal}
      <p className="text-sm text-muted-foreground">
        {hasAccount ? auth.noAccount : auth.hasAccount}{" "}
        <button type="button" className="font-medium text-primary underline underline-offset-4" onClick={() => setHasAccount(!hasAccount)}>
          {hasAccount ? auth.signUp : auth.signIn}
        </button>
      </p>
    </div>
  );
}

interface SignedInProps {
  token: string;
  email: string;
  onRefused: (error: unknown) => boolean;
}

function JoinSignedIn({ token, email, onRefused }: SignedInProps) {
  const { auth } = useTexts("auth");
  const navigate = useNavigate();
  const join = useMutation({
    mutationFn: async () => (await call(client.POST("/api/v1/auth/invitations", { body: { invitation: token } }))).data,
    onSuccess: async (company) => {
      chooseCompany(company.id);
      await navigate({ to: "/", replace: true });
    },
    onError: (error) => void onRefused(error),
    meta: { showsError: true },
  });
  return (
    <div className="grid gap-4">
      <p className="text-sm break-words">{auth.joinAs(email)}</p>
      <FormError error={isInvitationRefused(join.error) ? null : join.error} />
      <Button size="lg" isBusy={join.isPending} onClick={() => join.mutate()}>
        {auth.join}
      </Button>
    </div>
  );
}
