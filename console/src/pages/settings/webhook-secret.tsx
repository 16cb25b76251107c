import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { call, client } from "@/api/client";
import { FormError } from "@/layout/form-error";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Select } from "@/ui/input";

import { ShownOnce } from "./shown-once";
import { type Endpoint, GRACES, isRotating } from "./webhook-values";

type Rotated = Endpoint & { secret: string };

/** The signing secret, which cannot be seen again, and its replacement. `now` is the time of the answer. */
export function SecretCard({ endpoint, now }: { endpoint: Endpoint; now: number }) {
  const { webhooks } = useTexts("webhooks");
  const text = webhooks.secret;
  const format = useFormat();
  const [isAsking, setAsking] = useState(false);
  const [rotated, setRotated] = useState<Rotated | null>(null);
  const end = isRotating(endpoint, now) ? endpoint.previous_secret_expires_at : null;
  return (
    <Card>
      <CardHeader>
        <CardTitle>{webhooks.secretLabel}</CardTitle>
      </CardHeader>
      <CardContent className="grid gap-4">
        <p className="text-sm text-muted-foreground">{text.lead}</p>
        {end != null && <p className="text-sm">{webhooks.lastSecretUntil(format.dateTime(end))}</p>}
        <Button variant="outline" className="justify-self-start" onClick={() => setAsking(true)}>
          {text.rotate}
        </Button>
      </CardContent>
      {isAsking && (
        <RotateDialog
          endpoint={endpoint}
          now={now}
          onRotated={(answer) => {
            setAsking(false);
            setRotated(answer);
          }}
          onClose={() => setAsking(false)}
        />
      )}
      {rotated && (
        <ShownOnce
          title={text.title}
          text={
            rotated.previous_secret_expires_at == null ? text.text : text.textUntil(format.dateTime(rotated.previous_secret_expires_at))
          }
          label={webhooks.secretLabel}
          value={rotated.secret}
          onClose={() => setRotated(null)}
        />
      )}
    </Card>
  );
}

interface RotateProps {
  endpoint: Endpoint;
  now: number;
  onRotated: (rotated: Rotated) => void;
  onClose: () => void;
}

/** Asks how long the present secret may sign. While one before it still does, both can only end at once. */
function RotateDialog({ endpoint, now, onRotated, onClose }: RotateProps) {
  const { webhooks, common } = useTexts("webhooks");
  const text = webhooks.secret;
  const format = useFormat();
  const queries = useQueryClient();
  const end = isRotating(endpoint, now) ? endpoint.previous_secret_expires_at : null;
  const [chosen, setChosen] = useState<number>(GRACES[0]);
  const grace = end == null ? chosen : 0;
  const rotate = useMutation({
    mutationFn: async () => {
      const params = { path: { id: endpoint.id } };
      return (await call(client.POST("/api/v1/webhook-endpoints/{id}/secret", { params, body: { previous_valid_s: grace } }))).data;
    },
    onSuccess: onRotated,
    // After a refusal, too: a colleague may have replaced it in between.
    onSettled: () => queries.invalidateQueries({ queryKey: ["webhooks"] }),
    meta: { showsError: true },
  });
  return (
    <Dialog
      title={text.rotateTitle}
      onClose={onClose}
      actions={
        <>
          <Button variant="outline" onClick={onClose}>
            {common.cancel}
          </Button>
          <Button variant={grace === 0 ? "destructive" : "default"} isBusy={rotate.isPending} onClick={() => rotate.mutate()}>
            {text.rotate}
          </Button>
        </>
      }
    >
      <div className="grid gap-4 text-sm">
        {end == null ? (
          <>
            <p>{text.rotateText}</p>
            <Field label={text.grace}>
              {(control) => (
                <Select {...control} value={chosen} onChange={(event) => setChosen(Number(event.target.value))}>
                  {GRACES.map((seconds) => (
                    <option key={seconds} value={seconds}>
                      {text.graces[String(seconds)]}
                    </option>
                  ))}
                </Select>
              )}
            </Field>
            {grace === 0 && <Alert variant="warning">{text.atOnce}</Alert>}
          </>
        ) : (
          <>
            <p>{text.rotating(format.dateTime(end))}</p>
            <Alert variant="warning">{text.endBoth}.</Alert>
          </>
        )}
        <FormError error={rotate.error} />
      </div>
    </Dialog>
  );
}
