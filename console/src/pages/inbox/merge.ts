import type { Message } from "./queries";

/**
 * Joins what was loaded before with a refresh, both newest first: the refresh wins, and older messages that its pages no
 * longer reach stay. Without a common message there is a gap between the two, so only the refresh is kept.
 */
export function mergeMessages(before: readonly Message[], refresh: readonly Message[]): readonly Message[] {
  const fresh = new Set(refresh.map(({ id }) => id));
  if (!before.some(({ id }) => fresh.has(id))) return refresh;
  const oldest = refresh.at(-1);
  if (oldest === undefined) return refresh;
  const older = before.slice(before.findLastIndex(({ id }) => fresh.has(id)) + 1);
  return [...refresh, ...older.filter(({ id, created_at }) => !fresh.has(id) && created_at <= oldest.created_at)];
}
