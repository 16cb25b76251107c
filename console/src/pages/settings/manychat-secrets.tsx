import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { call, client, type Schemas } from "@/api/client";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";
import { ConfirmDialog } from "@/ui/dialog";

import { customerQuery } from "./queries";
import { ShownOnce } from "./shown-once";

type Secret = Schemas["WebhookSecret"];

/** The webhook secrets that are valid, and a new one. */
export function SecretsCard({ secrets }: { secrets: readonly Secret[] }) {
  const { settings, manychat, common } = useTexts("settings", "manychat");
  const text = settings.manychat;
  const format = useFormat();
  const queries = useQueryClient();
  const [isAsking, setAsking] = useState(false);
  const isFirst = secrets.length === 0;
  const create = useMutation({
    mutationFn: async () => (await call(client.POST("/api/v1/customers/me/webhook-secret"))).data,
    onSuccess: () => queries.invalidateQueries({ queryKey: customerQuery.queryKey }),
    onSettled: () => setAsking(false),
  });
  return (
    <Card>
      <CardHeader>
        <CardTitle>{text.secretTitle}</CardTitle>
        {isFirst ? <Badge variant="warning">{common.none}</Badge> : <Badge variant="success">{text.set}</Badge>}
      </CardHeader>
      <CardContent className="grid gap-4">
        <p className="text-sm text-muted-foreground">{manychat.secretLead}</p>
        {!isFirst && (
          <ul className="divide-y text-sm">
            {secrets.map((secret) => (
              <li key={secret.id} className="flex flex-wrap justify-between gap-x-4 py-2">
                <span>{text.secretOf(format.dateTime(secret.created_at))}</span>
                <span className="text-muted-foreground">
                  {secret.expires_at ? text.secretUntil(format.dateTime(secret.expires_at)) : text.secretInForce}
                </span>
              </li>
            ))}
          </ul>
        )}
        <Button
          variant={isFirst ? "default" : "outline"}
          className="justify-self-start"
          isBusy={create.isPending}
          onClick={() => (isFirst ? create.mutate() : setAsking(true))}
        >
          {isFirst ? text.createSecret : text.rotateSecret}
        </Button>
      </CardContent>
      {isAsking && (
        <ConfirmDialog
          title={text.rotateTitle}
          text={text.rotateText}
          confirm={text.rotateSecret}
          isBusy={create.isPending}
          onConfirm={() => create.mutate()}
          onClose={() => setAsking(false)}
        />
      )}
      {create.data && (
        <ShownOnce
          title={text.newSecretTitle}
          text={create.data.older_expires_at ? text.rotatedText(format.dateTime(create.data.older_expires_at)) : text.createdText}
          label={manychat.secret}
          value={create.data.webhook_secret}
          onClose={create.reset}
        />
      )}
    </Card>
  );
}
