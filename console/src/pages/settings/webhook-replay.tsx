import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { call, client } from "@/api/client";
import { FormError } from "@/layout/form-error";
import { showDone } from "@/layout/toasts";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Select } from "@/ui/input";

import { REPLAY_PERIODS, type ReplayPeriod, replaySince } from "./webhook-values";

const PERIODS = Object.keys(REPLAY_PERIODS) as ReplayPeriod[];

/** Sends the events again that failed since a time. */
export function ReplayDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const { webhooks, common } = useTexts("webhooks");
  const text = webhooks.replay;
  const queries = useQueryClient();
  const [period, setPeriod] = useState<ReplayPeriod>("day");
  const replay = useMutation({
    mutationFn: async () => {
      const body = { since: replaySince(period, Date.now()) };
      return (await call(client.POST("/api/v1/webhook-endpoints/{id}/replay", { params: { path: { id } }, body }))).data;
    },
    onSuccess: ({ replayed, has_more: hasMore }) => {
      // Without a match the dialog stays: another time may be meant.
      if (replayed === 0) return;
      onClose();
      showDone(`${text.done(replayed)}${hasMore ? ` ${text.more}` : ""}`);
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ["webhooks"] }),
    meta: { showsError: true },
  });
  return (
    <Dialog
      title={text.title}
      onClose={onClose}
      actions={
        <>
          <Button variant="outline" onClick={onClose}>
            {common.cancel}
          </Button>
          <Button isBusy={replay.isPending} onClick={() => replay.mutate()}>
            {text.send}
          </Button>
        </>
      }
    >
      <div className="grid gap-4 text-sm">
        <p>{text.text}</p>
        <Field label={text.since}>
          {(control) => (
            <Select
              {...control}
              value={period}
              onChange={(event) => {
                setPeriod(event.target.value as ReplayPeriod);
                replay.reset();
              }}
            >
              {PERIODS.map((name) => (
                <option key={name} value={name}>
                  {text.periods[name]}
                </option>
              ))}
            </Select>
          )}
        </Field>
        <p role="status" className="empty:hidden">
          {replay.data?.replayed === 0 && text.none}
        </p>
        <FormError error={replay.error} />
      </div>
    </Dialog>
  );
}
