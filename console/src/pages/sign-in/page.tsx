import { Link } from "@tanstack/react-router";

import { session } from "@/api/session";
import { useTitle } from "@/layout/page";
import { useStore } from "@/lib/store";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Card, CardContent } from "@/ui/card";

import { SignInForm } from "./form";
import { signInRoute } from "./route";

export function SignInPage() {
  const { auth } = useTexts("auth");
  const state = useStore(session);
  const { next } = signInRoute.useSearch();
  useTitle(auth.signIn);
  return (
    <div className="grid gap-5">
      <h1 className="text-2xl font-semibold tracking-tight">{auth.signIn}</h1>
      {state.status === "signed-out" && state.hasExpired && <Alert role="status">{auth.hasExpired}</Alert>}
      <Card>
        <CardContent>
          <SignInForm />
        </CardContent>
      </Card>
      <p className="text-sm text-muted-foreground">
        {auth.noAccount}{" "}
        <Link to="/sign-up" search={{ next }} className="font-medium text-primary underline underline-offset-4">
          {auth.signUp}
        </Link>
      </p>
    </div>
  );
}
