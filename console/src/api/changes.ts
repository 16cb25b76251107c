/**
 * The feed of what changed in the company, by polling `GET /changes` with its ETag: a 304 costs one indexed look-up.
 * The first element of a query's key names what it shows, so a change invalidates the right queries.
 */
import { type QueryClient, queryOptions } from "@tanstack/react-query";

import { createStore } from "@/lib/store";

import { send, type Schemas } from "./client";
import { ApiError } from "./errors";

export type Change = Schemas["Change"];

/** Query keys that hold objects of each kind of change. */
const KEYS: Record<string, readonly string[]> = {
  conversation: ["conversations", "waiting"],
  message: ["messages", "conversations", "unanswered", "waiting"],
  document: ["documents"],
  order: ["orders"],
  activity: ["activities"],
};

/**
 * Ids of messages that were deleted while this tab followed the feed. A list that keeps older messages over a refresh cannot
 * tell a deleted one from one that the refresh does not reach.
 */
export const deletedMessages = createStore<ReadonlySet<string>>(new Set());

/** Remembers the messages that the changes delete. */
export function noteDeletions(changes: readonly Change[]): void {
  const ids = changes.filter(({ kind, is_deleted }) => kind === "message" && is_deleted).map(({ id }) => id);
  if (ids.length > 0) deletedMessages.set(new Set([...deletedMessages.get(), ...ids]));
}

/** The cursor of the feed's end. */
const NOW = "now";
/** Time for which the place in the feed is kept without a layout: the page's start takes it while the layout is loaded. */
const CURSOR_KEPT_MS = 10_000;
const VISIBLE_INTERVAL_MS = 2_000;
const HIDDEN_INTERVAL_MS = 15_000;
/** Calls that a user may still make in the present minute, below which the feed slows down, and its share of them. */
const FEW_CALLS = 50;
const SHARE_OF_CALLS = 3;

/** Returns the names of the queries that the changes touch, each once. */
export function touchedKeys(changes: readonly Change[]): string[] {
  return [...new Set(changes.flatMap((change) => KEYS[change.kind] ?? []))];
}

/**
 * The present place in the feed. Taken before the first data of a page: what changes between the two is then shown, too.
 * Without an answer the feed begins later, at "now".
 */
export const cursorQuery = queryOptions({
  queryKey: ["cursor"],
  queryFn: ({ signal }) =>
    poll(NOW, null, signal).then(
      ({ body }) => body?.meta.next_cursor ?? NOW,
      () => NOW,
    ),
  staleTime: Infinity,
  gcTime: CURSOR_KEPT_MS,
});

/**
 * Removes the place in the feed after the layout's frame is unmounted, so that the next layout takes a new place. What the
 * feed covers becomes stale: nobody follows the changes between the two places.
 */
export function forgetCursor(queries: QueryClient): void {
  // React's StrictMode unmounts and mounts the frame in one task, and another company's layout is mounted in the task that
  // unmounts this one. Their cursor is in use again when microtasks run.
  queueMicrotask(() => {
    const inactive = { queryKey: cursorQuery.queryKey, exact: true, type: "inactive" } as const;
    if (queries.getQueryCache().find(inactive) === undefined) return;
    queries.removeQueries(inactive);
    for (const key of new Set(Object.values(KEYS).flat())) void queries.invalidateQueries({ queryKey: [key], refetchType: "none" });
  });
}

/** Follows the feed from `start` until `signal` is aborted. Failures are waited out, as it loses nothing for seven days. */
export async function followChanges(queries: QueryClient, signal: AbortSignal, start: string): Promise<void> {
  let cursor = start;
  let etag: string | null = null;
  while (!signal.aborted) {
    let delay = document.hidden ? HIDDEN_INTERVAL_MS : VISIBLE_INTERVAL_MS;
    try {
      const answer = await poll(cursor, etag, signal);
      delay = Math.max(delay, paceOf(answer.headers));
      if (answer.body !== null) {
        const { data, meta } = answer.body;
        // The tag names the place in the feed, so it stays true for the next cursor unless changes lie between.
        etag = data.length === 0 ? answer.headers.get("etag") : null;
        cursor = meta.next_cursor;
        noteDeletions(data);
        for (const key of touchedKeys(data)) void queries.invalidateQueries({ queryKey: [key] });
        if (meta.has_more) delay = 0;
      }
    } catch (error) {
      if (!(error instanceof ApiError) || error.status === 401) return;
      if (error.status === 403) {
        // Deleted or suspended meanwhile, or no member any more: the context says what is to be shown.
        void queries.invalidateQueries({ queryKey: ["context"] });
        return;
      }
      if (error.status === 422) {
        // The cursor is older than the feed: what was missed is unknown, so everything is asked for again.
        cursor = NOW;
        etag = null;
        void queries.invalidateQueries();
      }
      delay = Math.max(delay, (error.retryAfterS ?? 5) * 1000);
    }
    await pause(delay, signal);
  }
}

async function poll(
  cursor: string,
  etag: string | null,
  signal: AbortSignal,
): Promise<{ body: Schemas["Changes"] | null; headers: Headers }> {
  const headers = new Headers(etag === null ? {} : { "if-none-match": etag });
  const url = `${window.location.origin}/api/v1/changes?cursor=${encodeURIComponent(cursor)}`;
  const response = await send(new Request(url, { headers, signal, cache: "no-store" }));
  const body = response.status === 304 ? null : ((await response.json()) as Schemas["Changes"]);
  return { body, headers: response.headers };
}

/** The pause that leaves most of the user's remaining calls to the pages. 0 while many are left. */
export function paceOf(headers: Headers): number {
  const remaining = Number(headers.get("ratelimit-remaining") ?? FEW_CALLS);
  const resetS = Number(headers.get("ratelimit-reset") ?? 0);
  if (!(remaining < FEW_CALLS) || !(resetS > 0)) return 0;
  return (resetS * 1000) / Math.max(1, remaining / SHARE_OF_CALLS);
}

/** Waits, but no longer than until the tab is shown again. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", end);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    document.addEventListener("visibilitychange", end);
    signal.addEventListener("abort", end);
  });
}
