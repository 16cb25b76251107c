import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation } from "@tanstack/react-query";
import { useForm } from "react-hook-form";
import { z } from "zod";

import { callEmpty, client } from "@/api/client";
import { ApiError } from "@/api/errors";
import { endSession } from "@/api/session";
import { FormError } from "@/layout/form-error";
import { showDone } from "@/layout/toasts";
import { showFieldErrors } from "@/lib/forms";
import { MIN_PASSWORD_CHARS } from "@/lib/password";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";

interface PasswordValues {
  current_password: string;
  new_password: string;
}

/** A new password. It ends every session of the user, this one too. */
export function PasswordCard() {
  const { settings, auth, common } = useTexts("settings", "auth");
  const text = settings.profile;
  const form = useForm<PasswordValues>({
    resolver: zodResolver(
      z.object({
        current_password: z.string().min(1, common.required),
        new_password: z.string().min(MIN_PASSWORD_CHARS, auth.passwordShort(MIN_PASSWORD_CHARS)),
      }),
    ),
    defaultValues: { current_password: "", new_password: "" },
  });
  const change = useMutation({
    mutationFn: (body: PasswordValues) => callEmpty(client.POST("/api/v1/auth/password", { body })),
    onSuccess: () => {
      showDone(text.passwordDone);
      endSession();
    },
    onError: (error) => {
      showFieldErrors(form, error);
      if (error instanceof ApiError && error.fieldErrors.some(({ field }) => field === "current_password")) {
        form.setError("current_password", { type: "server", message: text.passwordWrong });
      }
    },
    meta: { showsError: true },
  });
  const { errors } = form.formState;
  return (
    <Card>
      <CardHeader>
        <CardTitle>{text.password}</CardTitle>
      </CardHeader>
      <CardContent>
        <form noValidate className="grid gap-4" onSubmit={(event) => void form.handleSubmit((values) => change.mutate(values))(event)}>
          <p className="text-sm text-muted-foreground">{text.passwordLead}</p>
          <Field label={text.currentPassword} error={errors.current_password?.message}>
            {(control) => (
              <Input {...control} type="password" autoComplete="current-password" className="max-w-md" {...form.register("current_password")} />
            )}
          </Field>
          <Field label={auth.newPassword} hint={auth.passwordHint(MIN_PASSWORD_CHARS)} error={errors.new_password?.message}>
            {(control) => <Input {...control} type="password" autoComplete="new-password" className="max-w-md" {...form.register("new_password")} />}
          </Field>
          <FormError error={change.error} />
          <Button type="submit" className="justify-self-start" isBusy={change.isPending}>
            {text.changePassword}
          </Button>
        </form>
      </CardContent>
    </Card>
  );
}
