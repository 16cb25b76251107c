import { useCallback, useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import { type DefaultValues, type FieldValues, type Path, type PathValue, type Resolver, useForm, type UseFormReturn } from "react-hook-form";

import { session } from "@/api/session";
import { useStore } from "@/lib/store";

import { applyDraft, conflictsOf, type Draft, draftOf, isSame, readDraft, subscribeToDrafts, writeDraft } from "./draft";

/** Returns the name under which this user's draft of a form of this company is kept. */
export function useDraftKey(name: string): string {
  const state = useStore(session);
  const [user, company] = state.status === "signed-in" ? [state.userId, state.companyId ?? "-"] : ["-", "-"];
  return `lisa.draft.${user}.${company}.${name}`;
}

export function useDraft(key: string): Draft {
  return useSyncExternalStore(subscribeToDrafts, () => readDraft(key));
}

export interface DraftForm<T extends FieldValues> {
  form: UseFormReturn<T>;
  /** The unsaved values, by field. */
  changes: Partial<T>;
  /** Changed fields that somebody else has changed since. */
  conflicts: string[];
  discard: () => void;
  /** Takes over what the server made of the sent values. What was typed meanwhile stays. */
  adopt: (sent: Partial<T>, answer: T) => void;
}

/** A form over saved values, whose unsaved changes are kept. `saved` must stay the same object until the server's answer changes. */
export function useDraftForm<T extends FieldValues>(name: string, saved: T, resolver: Resolver<T>): DraftForm<T> {
  const key = useDraftKey(name);
  const draft = useDraft(key);
  const form = useForm<T>({ resolver, mode: "onTouched", defaultValues: applyDraft(saved, readDraft(key)) as DefaultValues<T> });
  const before = useRef(saved);
  const set = useCallback(
    (field: string, value: unknown) => form.setValue(field as Path<T>, value as PathValue<T, Path<T>>, { shouldValidate: true }),
    [form],
  );

  // Fields without a change of their own follow what the server says.
  useEffect(() => {
    const old = before.current;
    before.current = saved;
    if (old === saved) return;
    const values = form.getValues();
    for (const [field, value] of Object.entries(saved)) {
      if (isSame(values[field], old[field]) && !isSame(value, old[field])) set(field, value);
    }
    writeDraft(key, draftOf(saved, form.getValues(), readDraft(key)));
  }, [saved, form, key, set]);

  useEffect(
    () =>
      form.subscribe({
        formState: { values: true },
        callback: () => writeDraft(key, draftOf(saved, form.getValues(), readDraft(key))),
      }),
    [form, saved, key],
  );

  const changes = useMemo(() => Object.fromEntries(Object.entries(draft).map(([field, { to }]) => [field, to])) as Partial<T>, [draft]);
  return {
    form,
    changes,
    conflicts: conflictsOf(saved, draft),
    discard: () => {
      form.reset(saved);
      writeDraft(key, {});
    },
    adopt: (sent, answer) => {
      const values = form.getValues();
      for (const [field, value] of Object.entries(sent)) if (isSame(values[field], value)) set(field, answer[field]);
    },
  };
}
