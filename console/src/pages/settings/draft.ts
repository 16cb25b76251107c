/**
 * Unsaved changes of the settings' forms. They are kept in this browser, apart for each user and company, until they are saved
 * or discarded: neither a reload nor another page loses them.
 */
import { readStored, writeStored } from "@/lib/storage";

/** The changed fields of a form, each with the saved value before the change (`from`) and the typed one (`to`). */
export type Draft = Readonly<Record<string, { from: unknown; to: unknown }>>;

const NO_CHANGES: Draft = {};
const drafts = new Map<string, Draft>();
const listeners = new Set<() => void>();

/** Compares values of a form, which are JSON with a fixed order of fields. */
export function isSame(a: unknown, b: unknown): boolean {
  return Object.is(a, b) || JSON.stringify(a) === JSON.stringify(b);
}

/** Returns what differs from the saved values. A field that was changed before keeps the value that was changed. */
export function draftOf(saved: object, values: object, before: Draft = NO_CHANGES): Draft {
  const changed = Object.entries<unknown>({ ...saved }).flatMap(([field, from]) => {
    const to = (values as Record<string, unknown>)[field];
    return isSame(from, to) ? [] : [[field, { from: before[field] === undefined ? from : before[field].from, to }] as const];
  });
  return changed.length === 0 ? NO_CHANGES : Object.fromEntries(changed);
}

/** Puts the changes over the saved values. Fields that the form does not have any more are dropped. */
export function applyDraft<T extends object>(saved: T, draft: Draft): T {
  const known = Object.entries(draft).filter(([field]) => field in saved);
  return { ...saved, ...Object.fromEntries(known.map(([field, { to }]) => [field, to])) };
}

/** Returns the changed fields that somebody else has changed since. */
export function conflictsOf(saved: object, draft: Draft): string[] {
  const values = saved as Record<string, unknown>;
  return Object.entries(draft).flatMap(([field, { from, to }]) =>
    field in values && !isSame(values[field], from) && !isSame(values[field], to) ? [field] : [],
  );
}

/** Returns the draft of a form, the same object until it changes. */
export function readDraft(key: string): Draft {
  const known = drafts.get(key);
  if (known !== undefined) return known;
  const draft = parseDraft(readStored(key));
  drafts.set(key, draft);
  return draft;
}

/** Keeps the draft of a form; one without changes is removed. */
export function writeDraft(key: string, draft: Draft): void {
  if (isSame(readDraft(key), draft)) return;
  drafts.set(key, draft);
  writeStored(key, Object.keys(draft).length === 0 ? null : JSON.stringify(draft));
  for (const listener of listeners) listener();
}

export function subscribeToDrafts(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Reads a stored draft. Storage can hold anything, so whatever is no draft is none. */
export function parseDraft(stored: string | null): Draft {
  if (stored === null) return NO_CHANGES;
  try {
    const value = JSON.parse(stored) as unknown;
    if (typeof value !== "object" || value === null || Array.isArray(value)) return NO_CHANGES;
    const isDraft = Object.values(value).every((change) => typeof change === "object" && change !== null && "from" in change && "to" in change);
    return isDraft ? (value as Draft) : NO_CHANGES;
  } catch {
    return NO_CHANGES;
  }
}
