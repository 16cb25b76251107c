import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useForm } from "react-hook-form";
import * as z from "zod/mini";

import { call, client } from "@/api/client";
import { adoptSession, SESSION_HEADERS } from "@/api/session";
import { FormError } from "@/layout/form-error";
import { showFieldErrors } from "@/lib/forms";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";

export function SignInForm() {
  const { auth, common } = useTexts("auth");
  const form = useForm({
    resolver: zodResolver(z.object({ email: z.email(auth.emailInvalid), password: z.string().check(z.minLength(1, common.required)) })),
    defaultValues: { email: "", password: "" },
  });
  const signIn = useMutation({
    mutationFn: async (body: { email: string; password: string }) =>
      (await call(client.POST("/api/v1/auth/login", { body, headers: SESSION_HEADERS }))).data,
    // The router sees the session and goes on by itself.
    onSuccess: adoptSession,
    onError: (error) => showFieldErrors(form, error),
    meta: { showsError: true },
  });
  const { errors } = form.formState;
  return (
    <form noValidate className="grid gap-4" onSubmit={(event) => void form.handleSubmit((values) => signIn.mutate(values))(event)}>
      <Field label={auth.email} error={errors.email?.message}>
        {(control) => <Input {...control} type="email" autoComplete="username" {...form.register("email")} />}
      </Field>
      <Field label={auth.password} error={errors.password?.message}>
        {(control) => <Input {...control} type="password" autoComplete="current-password" {...form.register("password")} />}
      </Field>
      <FormError error={signIn.error} />
      <Button type="submit" size="lg" isBusy={signIn.isPending}>
        {auth.signIn}
      </Button>
      <Link to="/forgot-password" className="justify-self-start text-sm text-primary underline underline-offset-4">
        {auth.forgot}
      </Link>
    </form>
  );
}
