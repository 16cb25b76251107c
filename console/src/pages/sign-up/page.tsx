import { Link } from "@tanstack/react-router";

import { useTitle } from "@/layout/page";
import { useTexts } from "@/texts";
import { Card, CardContent } from "@/ui/card";

import { SignUpForm } from "./form";
import { signUpRoute } from "./route";

export function SignUpPage() {
  const { auth } = useTexts("auth");
  const { next } = signUpRoute.useSearch();
  useTitle(auth.signUp);
  return (
    <div className="grid gap-5">
      <div className="grid gap-1">
        <h1 className="text-2xl font-semibold tracking-tight">{auth.signUp}</h1>
        <p className="text-sm text-muted-foreground">{auth.signUpLead}</p>
      </div>
      <Card>
        <CardContent>
          <SignUpForm />
        </CardContent>
      </Card>
      <p className="text-sm text-muted-foreground">
        {auth.hasAccount}{" "}
        <Link to="/sign-in" search={{ next }} className="font-medium text-primary underline underline-offset-4">
          {auth.signIn}
        </Link>
      </p>
    </div>
  );
}
