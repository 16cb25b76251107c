import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useForm } from "react-hook-form";
import * as z from "zod/mini";

import { client } from "@/api/client";
import { FormError } from "@/layout/form-error";
import { useTitle } from "@/layout/page";
import { showFieldErrors } from "@/lib/forms";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";
import { Card, CardContent } from "@/ui/card";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";

export function ForgotPasswordPage() {
  const { auth } = useTexts("auth");
  useTitle(auth.forgotTitle);
  const form = useForm({
    resolver: zodResolver(z.object({ email: z.email(auth.emailInvalid) })),
    defaultValues: { email: "" },
  });
  const ask = useMutation({
    mutationFn: (body: { email: string }) => client.POST("/api/v1/auth/forgot", { body }),
    onError: (error) => showFieldErrors(form, error),
    meta: { showsError: true },
  });
  return (
    <div className="grid gap-5">
      <div className="grid gap-1">
        <h1 className="text-2xl font-semibold tracking-tight">{auth.forgotTitle}</h1>
        <p className="text-sm text-muted-foreground">{auth.forgotLead}</p>
      </div>
      <Card>
        <CardContent>
          {ask.isSuccess ? (
            <Alert role="status">{auth.forgotSent}</Alert>
          ) : (
            <form noValidate className="grid gap-4" onSubmit={(event) => void form.handleSubmit((values) => ask.mutate(values))(event)}>
              <Field label={auth.email} error={form.formState.errors.email?.message}>
                {(control) => <Input {...control} type="email" autoComplete="username" {...form.register("email")} />}
              </Field>
              <FormError error={ask.error} />
              <Button type="submit" size="lg" isBusy={ask.isPending}>
                {auth.forgotSend}
              </Button>
            </form>
          )}
        </CardContent>
      </Card>
      <Link to="/sign-in" className="justify-self-start text-sm font-medium text-primary underline underline-offset-4">
        {auth.backToSignIn}
      </Link>
    </div>
  );
}
