import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { callEmpty, client } from "@/api/client";
import { endSession } from "@/api/session";
import { showDone } from "@/layout/toasts";
import { useCompany } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";

import { Points, TypedConfirmation } from "./typed-confirmation";

/** Deletion of the member's own account, in all companies. */
export function DepartureCard() {
  const { privacy } = useTexts("privacy");
  const text = privacy.departure;
  const { user } = useCompany();
  const [isAsking, setAsking] = useState(false);
  const leave = useMutation({
    mutationFn: () => callEmpty(client.DELETE("/api/v1/privacy/me")),
    onSuccess: () => {
      showDone(text.done);
      endSession();
    },
    meta: { showsError: true },
  });
  return (
    <Card>
      <CardHeader>
        <CardTitle>{text.title}</CardTitle>
      </CardHeader>
      <CardContent className="grid gap-4">
        <p className="text-sm text-muted-foreground">{text.lead}</p>
        <Points points={text.points} />
        <Button variant="outline" className="justify-self-start text-destructive" onClick={() => setAsking(true)}>
          {text.open}
        </Button>
      </CardContent>
      {isAsking && (
        <TypedConfirmation
          title={text.dialogTitle}
          label={text.type(user.email)}
          name={user.email}
          confirm={text.confirm}
          isBusy={leave.isPending}
          error={leave.error}
          onConfirm={() => leave.mutate()}
          onClose={() => {
            setAsking(false);
            leave.reset();
          }}
        >
          <Points points={text.points} />
        </TypedConfirmation>
      )}
    </Card>
  );
}
