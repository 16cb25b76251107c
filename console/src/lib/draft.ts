/** Drafts of forms: typed values, kept over a reload of the tab and a walk to another page. */
import { useEffect } from "react";
import type { DefaultValues, FieldValues, UseFormReturn } from "react-hook-form";

import { session } from "@/api/session";

import { readStored, writeStored } from "./storage";

/** The key names the user and the company: another account in the same tab must not see the draft. */
function keyOf(name: string): string {
  const state = session.get();
  return state.status === "signed-in" ? `lisa.draft.${state.userId}.${state.companyId ?? ""}.${name}` : `lisa.draft.${name}`;
}

/** The kept values of a form; null when there are none. */
export function readDraft(name: string): object | null {
  const stored = readStored(keyOf(name), "session");
  if (stored === null) return null;
  try {
    return JSON.parse(stored) as object;
  } catch {
    return null;
  }
}

export function dropDraft(name: string): void {
  writeStored(keyOf(name), null, "session");
}

/** The values that a form begins with: its draft, else `values`. */
export function draftOr<T extends FieldValues>(name: string, values: T): DefaultValues<T> {
  return { ...values, ...readDraft(name) } as DefaultValues<T>;
}

/** Keeps what is typed into the form from now on. */
export function useDraft<T extends FieldValues>(name: string, form: UseFormReturn<T>): void {
  useEffect(() => {
    const subscription = form.watch((values, { type }) => {
      if (type !== undefined || form.formState.isDirty) writeStored(keyOf(name), JSON.stringify(values), "session");
    });
    return () => subscription.unsubscribe();
  }, [name, form]);
}
