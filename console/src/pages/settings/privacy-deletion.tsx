import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { callEmpty, client } from "@/api/client";
import { contextQuery, useCompany, useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";

import { RESTORATION_DAYS } from "./privacy-values";
import { Points, TypedConfirmation } from "./typed-confirmation";

/** Deletion of the company's account, confirmed by typing the company's name. */
export function DeletionCard() {
  const { privacy } = useTexts("privacy");
  const text = privacy.deletion;
  const { tenant } = useCompany();
  const format = useFormat();
  const queries = useQueryClient();
  /** The end of the restoration for a deletion at this moment, while the question is open. */
  const [restorableUntil, setRestorableUntil] = useState<string | null>(null);
  const remove = useMutation({
    mutationFn: () => callEmpty(client.DELETE("/api/v1/privacy/account")),
    // The layout learns from the context that the company is deleted, and shows the restoration only.
    onSuccess: () => queries.invalidateQueries({ queryKey: contextQuery.queryKey }),
    meta: { showsError: true },
  });
  const close = () => {
    setRestorableUntil(null);
    remove.reset();
  };
  const ask = () => setRestorableUntil(new Date(Date.now() + RESTORATION_DAYS * 86_400_000).toISOString());
  return (
    <Card>
      <CardHeader>
        <CardTitle>{text.title}</CardTitle>
      </CardHeader>
      <CardContent className="grid gap-4">
        <p className="text-sm text-muted-foreground">{text.lead}</p>
        <Points points={text.points} />
        <Button variant="outline" className="justify-self-start text-destructive" onClick={ask}>
          {text.open}
        </Button>
      </CardContent>
      {restorableUntil !== null && (
        <TypedConfirmation
          title={text.dialogTitle(tenant.name)}
          label={text.type(tenant.name)}
          name={tenant.name}
          confirm={text.confirm}
          isBusy={remove.isPending}
          error={remove.error}
          onConfirm={() => remove.mutate()}
          onClose={close}
        >
          <Points points={text.points} />
          <p className="font-medium">{text.until(format.dateTimeInZone(restorableUntil))}</p>
          <p>{text.exportFirst}</p>
        </TypedConfirmation>
      )}
    </Card>
  );
}
