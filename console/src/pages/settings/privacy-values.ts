/** Computations of the privacy page: the day before which messages are deleted, typed confirmations. */
import type { Schemas } from "@/api/client";

export type Export = Schemas["Export"];

export const MIN_RETENTION_MONTHS = 1;
export const MAX_RETENTION_MONTHS = 60;
/** Days within which a deleted account can be restored. */
export const RESTORATION_DAYS = 30;

/** The months that were typed; null for what the API does not take. */
export function monthsOf(text: string): number | null {
  const typed = text.trim();
  if (!/^\d{1,3}$/.test(typed)) return null;
  const months = Number(typed);
  return months >= MIN_RETENTION_MONTHS && months <= MAX_RETENTION_MONTHS ? months : null;
}

/** The time before which messages are deleted: `months` ago, on the last day of a month that is shorter. */
export function retentionStart(months: number, now: Date): Date {
  const start = new Date(now);
  start.setUTCDate(1);
  start.setUTCMonth(start.getUTCMonth() - months);
  const lastDay = new Date(Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + 1, 0)).getUTCDate();
  start.setUTCDate(Math.min(now.getUTCDate(), lastDay));
  return start;
}

export const isInWork = ({ status }: Export): boolean => status === "queued" || status === "running";

/** True when an export has left its work since the list was loaded. The list then shows earlier exports as they were before. */
export const hasEndedSince = (listed: Export, present: Export | null): boolean => isInWork(listed) && (present === null || !isInWork(present));

/** True when the answer about an export, if there is one, says that its archive is deleted. Null stands for a deleted export. */
export const isGone = (present: Export | null | undefined): boolean => present === null || present?.status === "expired";

/** Compares a typed confirmation with the name: without regard to how letters are composed, and to spaces at the ends. */
export function isConfirmed(typed: string, name: string): boolean {
  const plain = (text: string) => text.normalize("NFC").replace(/\s+/g, " ").trim();
  return plain(name) !== "" && plain(typed) === plain(name);
}
