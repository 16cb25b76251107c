import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { z } from "zod";

import { call, client } from "@/api/client";
import { adoptSession, SESSION_HEADERS } from "@/api/session";
import { FormError } from "@/layout/form-error";
import { showFieldErrors } from "@/lib/forms";
import { MIN_PASSWORD_CHARS } from "@/lib/password";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";

interface Values {
  email: string;
  password: string;
  full_name: string;
  company_name: string;
}

interface SignUpProps {
  /** Token of the invitation by which the account joins a company. */
  invitation?: string;
  /** A sentence below the e-mail address. */
  emailHint?: string | undefined;
  onSignedUp?: () => void;
  /** Takes each failure, and returns true when it is shown outside of the form. */
  onRefused?: (error: unknown) => boolean;
}

/** Creates an account: with a company of its own, or as the member whom the invitation names. */
export function SignUpForm({ invitation, emailHint, onSignedUp, onRefused }: SignUpProps) {
  const { auth, common } = useTexts("auth");
  const isInvited = invitation !== undefined;
  const schema = z.object({
    email: z.email(auth.emailInvalid),
    password: z.string().min(MIN_PASSWORD_CHARS, auth.passwordShort(MIN_PASSWORD_CHARS)),
    full_name: z.string().max(255),
    company_name: isInvited ? z.string() : z.string().trim().min(1, common.required).max(200),
  });
  const form = useForm<Values>({
    resolver: zodResolver(schema),
    defaultValues: { email: "", password: "", full_name: "", company_name: "" },
  });
  const [isShownOutside, setShownOutside] = useState(false);
  const signUp = useMutation({
    mutationFn: async ({ company_name, full_name, ...account }: Values) => {
      const body = {
        ...account,
        full_name: full_name.trim() === "" ? null : full_name.trim(),
        ...(isInvited ? { invitation } : { company_name }),
      };
      return (await call(client.POST("/api/v1/auth/signup", { body, headers: SESSION_HEADERS }))).data;
    },
    onSuccess: (answer) => {
      if (!("access_token" in answer)) return;
      onSignedUp?.();
      adoptSession(answer);
    },
    onError: (error) => {
      showFieldErrors(form, error);
      setShownOutside(onRefused?.(error) === true);
    },
    meta: { showsError: true },
  });
  const { errors } = form.formState;
  if (signUp.data && "confirmation_required" in signUp.data) {
    return <Alert role="status">{auth.confirmMail(signUp.data.user.email)}</Alert>;
  }
  return (
    <form noValidate className="grid gap-4" onSubmit={(event) => void form.handleSubmit((values) => signUp.mutate(values))(event)}>
      {!isInvited && (
        <Field label={auth.companyName} hint={auth.companyNameHint} error={errors.company_name?.message}>
          {(control) => <Input {...control} autoComplete="organization" {...form.register("company_name")} />}
        </Field>
      )}
      <Field label={auth.fullName} isOptional error={errors.full_name?.message}>
        {(control) => <Input {...control} autoComplete="name" {...form.register("full_name")} />}
      </Field>
      <Field label={auth.email} hint={emailHint} error={errors.email?.message}>
        {(control) => <Input {...control} type="email" autoComplete="username" {...form.register("email")} />}
      </Field>
      <Field label={auth.password} hint={auth.passwordHint(MIN_PASSWORD_CHARS)} error={errors.password?.message}>
        {(control) => <Input {...control} type="password" autoComplete="new-password" {...form.register("password")} />}
      </Field>
      <FormError error={isShownOutside ? null : signUp.error} />
      <Button type="submit" size="lg" isBusy={signUp.isPending}>
        {isInvited ? auth.join : auth.signUp}
      </Button>
    </form>
  );
}
