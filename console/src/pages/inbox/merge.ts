import type { Message } from "./queries";

/**
 * Joins what was loaded before with a refresh, both newest first: the refresh wins, and older messages that its pages no
 * longer reach stay, except for deleted ones. Without a common message there is a gap between the two, so only the refresh is
 * kept. A refresh that `isWhole` reaches the first message of the conversation: what it lacks was deleted.
 */
export function mergeMessages(
  before: readonly Message[],
  refresh: readonly Message[],
  { isWhole, deleted }: { isWhole: boolean; deleted: ReadonlySet<string> },
): readonly Message[] {
  const fresh = new Set(refresh.map(({ id }) => id));
  const oldest = refresh.at(-1);
  if (isWhole || oldest === undefined || !before.some(({ id }) => fresh.has(id))) return withoutDeleted(refresh, deleted);
  const older = before.slice(before.findLastIndex(({ id }) => fresh.has(id)) + 1);
  return withoutDeleted([...refresh, ...older.filter(({ id, created_at }) => !fresh.has(id) && created_at <= oldest.created_at)], deleted);
}

/** The messages that were not deleted; the same list when none was. */
export function withoutDeleted(messages: readonly Message[], deleted: ReadonlySet<string>): readonly Message[] {
  return messages.some(({ id }) => deleted.has(id)) ? messages.filter(({ id }) => !deleted.has(id)) : messages;
}
