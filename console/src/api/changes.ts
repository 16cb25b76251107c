/**
 * The feed of what changed in the company, by polling `GET /changes` with its ETag: a 304 costs one indexed look-up.
 * The first element of a query's key names what it shows, so a change invalidates the right queries.
 */
import type { QueryClient } from "@tanstack/react-query";

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

const VISIBLE_INTERVAL_MS = 2_000;
const HIDDEN_INTERVAL_MS = 15_000;

/** Returns the names of the queries that the changes touch, each once. */
export function touchedKeys(changes: readonly Change[]): string[] {
  return [...new Set(changes.flatMap((change) => KEYS[change.kind] ?? []))];
}

/** Follows the feed until `signal` is aborted. Failures are waited out, as the feed loses nothing for seven days. */
export async function followChanges(
  queries: QueryClient,
  signal: AbortSignal,
): Promise<void> {
  let cursor = "now";
  let etag: string | null = null;
  while (!signal.aborted) {
    let delay = document.hidden ? HIDDEN_INTERVAL_MS : VISIBLE_INTERVAL_MS;
    try {
      const answer = await poll(cursor, etag, signal);
      if (answer !== null) {
        const { data, meta } = answer.body;
        // The tag names the place in the feed, so it stays true for the next cursor unless changes lie between.
        etag = data.length === 0 ? answer.etag : null;
        cursor = meta.next_cursor;
        for (const key of touchedKeys(data)) void queries.invalidateQueries({ queryKey: [key] });
        if (meta.has_more) delay = 0;
      }
    } catch (error) {
      if (!(error instanceof ApiError) || error.status === 403 || error.status === 401) return;
      if (error.status === 422) {
        // The cursor is older than the feed: what was missed is unknown, so everything is asked for again.
        cursor = "now";
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
): Promise<{ body: Schemas["Changes"]; etag: string | null } | null> {
  const headers = new Headers(etag === null ? {} : { "if-none-match": etag });
  const url = `${window.location.origin}/api/v1/changes?cursor=${encodeURIComponent(cursor)}`;
  const response = await send(new Request(url, { headers, signal, cache: "no-store" }));
  if (response.status === 304) return null;
  return { body: (await response.json()) as Schemas["Changes"], etag: response.headers.get("etag") };
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
