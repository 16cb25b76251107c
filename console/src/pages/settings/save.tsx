import { useMutation } from "@tanstack/react-query";
import { type ReactNode, type SubmitEvent, useState } from "react";
import type { FieldValues } from "react-hook-form";

import { showDone } from "@/layout/toasts";
import { showFieldErrors } from "@/lib/forms";
import { useTexts } from "@/texts";
import { ConfirmDialog } from "@/ui/dialog";

import type { DraftForm } from "./draft-form";
import { RegressionsDialog, regressionsOf } from "./regressions";
import { SaveBar } from "./save-bar";

interface SaveOptions<T extends FieldValues> {
  draft: DraftForm<T>;
  /** Label of each field, for the bar. */
  labels: Record<keyof T & string, string>;
  /** Sends the changes and returns the server's values. `accepts` is true after the owner has accepted failing golden questions. */
  send: (changes: Partial<T>, accepts: boolean) => Promise<T>;
  /** Runs after the form has taken over the answer. */
  onSaved?: () => void;
  /** Names what the changes delete, to be confirmed before they are sent; null when they delete nothing. */
  question?: () => Question | null;
}

interface Question {
  title: string;
  text: string;
  confirm: string;
}

/** `greeting.fr` is the field `greeting_fr`, `handover_keywords[1]` the field `handover_keywords`. */
export const formFieldOf = (field: string) => field.replace(/\[.*$/, "").replace(/\./g, "_");

/** Saves a form's changes, and only those. Returns the submit handler, and the bar for the form's foot. */
export function useSave<T extends FieldValues>({ draft, labels, send, onSaved, question }: SaveOptions<T>): {
  onSubmit: (event: SubmitEvent<HTMLFormElement>) => void;
  bar: ReactNode;
} {
  const { settings } = useTexts("settings");
  const [asked, setAsked] = useState<Question | null>(null);
  const save = useMutation({
    mutationFn: ({ changes, accepts }: { changes: Partial<T>; accepts: boolean }) => send(changes, accepts),
    onSuccess: (answer, { changes }) => {
      draft.adopt(changes, answer);
      onSaved?.();
      showDone(settings.saved);
    },
    onError: (error) => showFieldErrors(draft.form, error, formFieldOf),
    onSettled: () => setAsked(null),
    meta: { showsError: true },
  });
  const regressions = regressionsOf(save.error);
  const labelsOf = (fields: readonly string[]) => fields.map((field) => (labels as Record<string, string>)[field] ?? field);
  const submit = () => {
    const needed = question?.() ?? null;
    if (needed === null) save.mutate({ changes: draft.changes, accepts: false });
    else setAsked(needed);
  };
  const bar = (
    <>
      <SaveBar
        changed={labelsOf(Object.keys(draft.changes))}
        conflicts={labelsOf(draft.conflicts)}
        error={regressions === null ? save.error : null}
        isBusy={save.isPending}
        onDiscard={() => {
          draft.discard();
          save.reset();
        }}
      />
      {regressions !== null && (
        <RegressionsDialog
          regressions={regressions}
          isBusy={save.isPending}
          onAccept={() => save.mutate({ changes: draft.changes, accepts: true })}
          onClose={save.reset}
        />
      )}
      {asked !== null && (
        <ConfirmDialog
          title={asked.title}
          text={asked.text}
          confirm={asked.confirm}
          isBusy={save.isPending}
          onConfirm={() => save.mutate({ changes: draft.changes, accepts: false })}
          onClose={() => setAsked(null)}
        />
      )}
    </>
  );
  return {
    onSubmit: (event) => void draft.form.handleSubmit(submit)(event),
    bar,
  };
}
