import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { z } from "zod";

import { call, client } from "@/api/client";
import { ApiError } from "@/api/errors";
import { FormError } from "@/layout/form-error";
import { showDone } from "@/layout/toasts";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";
import { ConfirmDialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";

import { customerQuery } from "./queries";

/** The key with which answers are sent. It is written only: what is stored is shown by its last four characters. */
export function KeyCard({ masked }: { masked: string | null }) {
  const { settings, manychat, common } = useTexts("settings", "manychat");
  const text = settings.manychat;
  const queries = useQueryClient();
  const [isAsking, setAsking] = useState(false);
  const form = useForm({
    resolver: zodResolver(z.object({ key: z.string().trim().min(1, common.required) })),
    defaultValues: { key: "" },
  });
  const store = useMutation({
    mutationFn: async (key: string | null) => (await call(client.PATCH("/api/v1/customers/me", { body: { manychat_api_key: key } }))).data,
    onSuccess: (customer, key) => {
      queries.setQueryData(customerQuery.queryKey, customer);
      form.reset({ key: "" });
      showDone(key === null ? text.keyRemoved : text.keyStored);
    },
    onError: (error) => {
      if (error instanceof ApiError && error.fieldErrors.some(({ field }) => field === "manychat_api_key")) {
        form.setError("key", { type: "server", message: text.keyRefused });
      }
    },
    onSettled: () => setAsking(false),
    meta: { showsError: true },
  });
  const fieldError = form.formState.errors.key?.message;
  return (
    <Card>
      <CardHeader>
        <CardTitle>{text.keyTitle}</CardTitle>
        {masked === null ? <Badge variant="warning">{common.none}</Badge> : <Badge variant="success">{text.set}</Badge>}
      </CardHeader>
      <CardContent className="grid gap-4">
        <p className="text-sm text-muted-foreground">{manychat.keyLead}</p>
        {masked !== null && (
          <div className="flex flex-wrap items-center justify-between gap-2 text-sm">
            <span>
              {text.storedKey} <code>{masked}</code>
            </span>
            <Button variant="outline" size="sm" onClick={() => setAsking(true)}>
              {text.removeKey}
            </Button>
          </div>
        )}
        <form noValidate className="grid gap-3" onSubmit={(event) => void form.handleSubmit(({ key }) => store.mutate(key.trim()))(event)}>
          <Field label={masked === null ? text.key : text.newKey} hint={text.keyHint} error={fieldError}>
            {(control) => (
              <Input {...control} type="password" autoComplete="off" spellCheck={false} className="max-w-md" {...form.register("key")} />
            )}
          </Field>
          <FormError error={fieldError === undefined ? store.error : null} />
          <Button type="submit" className="justify-self-start" isBusy={store.isPending}>
            {text.saveKey}
          </Button>
        </form>
      </CardContent>
      {isAsking && (
        <ConfirmDialog
          title={text.removeKeyTitle}
          text={text.removeKeyText}
          confirm={text.removeKey}
          isBusy={store.isPending}
          onConfirm={() => store.mutate(null)}
          onClose={() => setAsking(false)}
        />
      )}
    </Card>
  );
}
