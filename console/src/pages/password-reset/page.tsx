import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useForm } from "react-hook-form";
import * as z from "zod/mini";

import { client } from "@/api/client";
import { endSession } from "@/api/session";
import { FormError } from "@/layout/form-error";
import { useTitle } from "@/layout/page";
import { useFragmentToken } from "@/lib/fragment-token";
import { showFieldErrors } from "@/lib/forms";
import { MIN_PASSWORD_CHARS } from "@/lib/password";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";
import { Card, CardContent } from "@/ui/card";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";

/** Sets a new password by the one-time link that an owner or an administrator has given. */
export function PasswordResetPage() {
  const { auth } = useTexts("auth");
  const token = useFragmentToken();
  useTitle(auth.resetTitle);
  return (
    <div className="grid gap-5">
      <h1 className="text-2xl font-semibold tracking-tight">{auth.resetTitle}</h1>
      <Card>
        <CardContent>
          {token === null ? <Alert variant="warning">{auth.linkIncomplete}</Alert> : <ResetForm token={token} />}
        </CardContent>
      </Card>
      <Link to="/sign-in" className="justify-self-start text-sm font-medium text-primary underline underline-offset-4">
        {auth.backToSignIn}
      </Link>
    </div>
  );
}

function ResetForm({ token }: { token: string }) {
  const { auth } = useTexts("auth");
  const form = useForm({
    resolver: zodResolver(z.object({ new_password: z.string().check(z.minLength(MIN_PASSWORD_CHARS, auth.passwordShort(MIN_PASSWORD_CHARS))) })),
    defaultValues: { new_password: "" },
  });
  const reset = useMutation({
    mutationFn: (body: { new_password: string }) => client.POST("/api/v1/auth/password-reset", { body: { ...body, token } }),
    // The reset ends every session of the user, also one in this browser.
    onSuccess: endSession,
    onError: (error) => showFieldErrors(form, error),
    meta: { showsError: true },
  });
  if (reset.isSuccess) {
    return (
      <Alert variant="success" role="status">
        {auth.resetDone}
      </Alert>
    );
  }
  return (
    <form noValidate className="grid gap-4" onSubmit={(event) => void form.handleSubmit((values) => reset.mutate(values))(event)}>
      <Field label={auth.newPassword} hint={auth.passwordHint(MIN_PASSWORD_CHARS)} error={form.formState.errors.new_password?.message}>
        {(control) => <Input {...control} type="password" autoComplete="new-password" {...form.register("new_password")} />}
      </Field>
      <FormError error={reset.error} />
      <Button type="submit" size="lg" isBusy={reset.isPending}>
        {auth.resetSave}
      </Button>
    </form>
  );
}
