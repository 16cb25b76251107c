import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useForm } from "react-hook-form";
import { z } from "zod";

import { call, client } from "@/api/client";
import { FormError } from "@/layout/form-error";
import { showFieldErrors } from "@/lib/forms";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { CopyLine } from "@/ui/copy-line";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";

import { invitationsQuery, teamQuery } from "./queries";

/** Makes an invitation of a support user, and shows its link to be copied. */
export function InviteStep() {
  const { start, auth } = useTexts("start", "auth");
  const { invite } = start;
  const format = useFormat();
  const queries = useQueryClient();
  const { data: members = 1 } = useQuery(teamQuery);
  const { data: open = 0 } = useQuery(invitationsQuery);
  const form = useForm({
    resolver: zodResolver(z.object({ email: z.union([z.literal(""), z.email(auth.emailInvalid)]) })),
    defaultValues: { email: "" },
  });
  const create = useMutation({
    mutationFn: async ({ email }: { email: string }) =>
      (await call(client.POST("/api/v1/customers/me/invitations", { body: { role: "support", ...(email !== "" && { email }) } }))).data,
    onSuccess: async () => {
      form.reset();
      await queries.invalidateQueries({ queryKey: ["invitations"] });
    },
    onError: (error) => showFieldErrors(form, error),
    meta: { showsError: true },
  });
  return (
    <div className="grid min-w-0 gap-3 text-sm">
      <p className="text-muted-foreground">{invite.lead}</p>
      {(members > 1 || open > 0) && (
        <p className="font-medium">
          {invite.members(members)}
          {open > 0 && `, ${invite.open(open)}`}
        </p>
      )}
      {create.data === undefined ? (
        <form noValidate className="grid justify-items-start gap-3" onSubmit={(event) => void form.handleSubmit((values) => create.mutate(values))(event)}>
          <Field label={invite.email} hint={invite.emailHint} isOptional error={form.formState.errors.email?.message} className="w-full max-w-sm">
            {(control) => <Input {...control} type="email" autoComplete="off" {...form.register("email")} />}
          </Field>
          <FormError error={form.formState.errors.email ? null : create.error} />
          <Button type="submit" isBusy={create.isPending}>
            {invite.action}
          </Button>
        </form>
      ) : (
        <div className="grid min-w-0 justify-items-start gap-2" role="status">
          <p>{invite.made(format.dateTime(create.data.expires_at))}</p>
          <CopyLine label={invite.link} text={create.data.link ?? `${window.location.origin}/invitation#token=${create.data.token}`} />
          <Button variant="outline" size="sm" onClick={() => create.reset()}>
            {invite.another}
          </Button>
        </div>
      )}
    </div>
  );
}
