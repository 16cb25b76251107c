import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation } from "@tanstack/react-query";
import { useForm } from "react-hook-form";
import { z } from "zod";

import { call, client } from "@/api/client";
import { FormError } from "@/layout/form-error";
import { Page } from "@/layout/page";
import { showFieldErrors } from "@/lib/forms";
import { tokenLink } from "@/lib/links";
import { ShownOnce } from "@/pages/settings/shown-once";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Card, CardContent } from "@/ui/card";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";

/** Makes a one-time link to a new password, for a person who can ask nobody else. */
export function ResetPage() {
  const { admin, auth, settings } = useTexts("admin", "auth", "settings");
  const form = useForm({ resolver: zodResolver(z.object({ email: z.email(auth.emailInvalid) })), defaultValues: { email: "" } });
  const issue = useMutation({
    mutationFn: async (body: { email: string }) => (await call(client.POST("/api/v1/admin/password-resets", { body }))).data,
    onError: (error) => showFieldErrors(form, error),
    meta: { showsError: true },
  });
  return (
    <Page title={admin.passwordReset} lead={admin.resetLead}>
      <Card className="max-w-xl">
        <CardContent>
          <form noValidate className="grid gap-4" onSubmit={(event) => void form.handleSubmit((values) => issue.mutate(values))(event)}>
            <Field label={auth.email} error={form.formState.errors.email?.message}>
              {(control) => <Input {...control} type="email" autoComplete="off" {...form.register("email")} />}
            </Field>
            <FormError error={issue.error} />
            <Button type="submit" className="justify-self-start" isBusy={issue.isPending}>
              {admin.resetCreate}
            </Button>
          </form>
        </CardContent>
      </Card>
      {issue.data && (
        <ShownOnce
          title={settings.team.resetTitle}
          text={admin.resetText(issue.variables.email, issue.data.valid_hours)}
          label={settings.team.link}
          value={tokenLink(issue.data.link, "/password-reset", issue.data.token)}
          onClose={() => {
            issue.reset();
            form.reset();
          }}
        />
      )}
    </Page>
  );
}
