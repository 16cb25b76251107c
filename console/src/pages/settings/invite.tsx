import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useForm } from "react-hook-form";
import { z } from "zod";

import { call, client } from "@/api/client";
import { FormError } from "@/layout/form-error";
import { showFieldErrors } from "@/lib/forms";
import { tokenLink } from "@/lib/links";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Input, Select } from "@/ui/input";

import { ShownOnce } from "./shown-once";

interface InviteValues {
  role: string;
  email: string;
}

/** Invites somebody: asks for the role, then shows the link, once. */
export function InviteDialog({ onClose }: { onClose: () => void }) {
  const { settings, layout, auth, common } = useTexts("settings", "auth");
  const text = settings.team;
  const queries = useQueryClient();
  const form = useForm<InviteValues>({
    resolver: zodResolver(z.object({ role: z.string(), email: z.union([z.literal(""), z.email(auth.emailInvalid)]) })),
    defaultValues: { role: "support", email: "" },
  });
  const invite = useMutation({
    mutationFn: async ({ role, email }: InviteValues) => {
      const body = { role: role === "owner" ? ("owner" as const) : ("support" as const), ...(email !== "" && { email }) };
      return (await call(client.POST("/api/v1/customers/me/invitations", { body }))).data;
    },
    onSuccess: () => queries.invalidateQueries({ queryKey: ["invitations"] }),
    onError: (error) => showFieldErrors(form, error),
    meta: { showsError: true },
  });
  if (invite.data) {
    const link = tokenLink(invite.data.link, "/invitation", invite.data.token);
    return <ShownOnce title={text.invitationTitle} text={text.invitationText} label={text.link} value={link} onClose={onClose} />;
  }
  return (
    <Dialog
      title={text.invite}
      onClose={onClose}
      actions={
        <>
          <Button variant="outline" onClick={onClose}>
            {common.cancel}
          </Button>
          <Button type="submit" form="invite" isBusy={invite.isPending}>
            {text.createLink}
          </Button>
        </>
      }
    >
      <form id="invite" noValidate className="grid gap-4" onSubmit={(event) => void form.handleSubmit((values) => invite.mutate(values))(event)}>
        <Field label={text.role} hint={text.roleHint}>
          {(control) => (
            <Select {...control} {...form.register("role")}>
              <option value="support">{layout.roles.support}</option>
              <option value="owner">{layout.roles.owner}</option>
            </Select>
          )}
        </Field>
        <Field label={auth.email} isOptional hint={text.emailHint} error={form.formState.errors.email?.message}>
          {(control) => <Input {...control} type="email" autoComplete="off" {...form.register("email")} />}
        </Field>
        <FormError error={invite.error} />
      </form>
    </Dialog>
  );
}
