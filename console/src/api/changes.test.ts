import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { expect, it, vi } from "vitest";

vi.mock("./client", () => ({ send: vi.fn() }));

const { cursorQuery, deletedMessages, forgetCursor, noteDeletions, paceOf, touchedKeys } = await import("./changes");

const change = (kind: string) => ({ kind, id: "3f1d2c4b-0c7e-4a53-8a4e-5d2f9b1c5a69", version: 1, is_deleted: false, at: "2026-11-29T12:00:00Z" });

it("names each query once, whatever the number of changes", () => {
  expect(touchedKeys([change("message"), change("conversation"), change("message")])).toEqual([
    "messages",
    "conversations",
    "unanswered",
    "waiting",
  ]);
});

it("remembers deleted messages, and only those", () => {
  noteDeletions([change("message"), { ...change("conversation"), is_deleted: true }]);
  expect([...deletedMessages.get()]).toEqual([]);
  noteDeletions([{ ...change("message"), id: "m1", is_deleted: true }]);
  noteDeletions([{ ...change("message"), id: "m2", is_deleted: true }]);
  expect([...deletedMessages.get()]).toEqual(["m1", "m2"]);
});

it("ignores a kind that a newer server adds", () => {
  expect(touchedKeys([change("invoice")])).toEqual([]);
});

it("slows down when few calls are left, and not while there are many", () => {
  const limits = (remaining: string, reset: string) => new Headers({ "ratelimit-remaining": remaining, "ratelimit-reset": reset });
  expect(paceOf(limits("99", "60"))).toBe(0);
  expect(paceOf(limits("30", "30"))).toBe(3_000);
  expect(paceOf(limits("0", "20"))).toBe(20_000);
  expect(paceOf(new Headers())).toBe(0);
});

/** A cache with the place in the feed, which a mounted layout observes, and with a list that the feed covers. */
function mountLayout() {
  const queries = new QueryClient();
  queries.setQueryData(cursorQuery.queryKey, "cursor-of-the-start");
  queries.setQueryData(["orders"], []);
  queries.setQueryData(["context"], {});
  const mount = () => new QueryObserver(queries, cursorQuery).subscribe(() => undefined);
  const isStale = (key: string) => queries.getQueryState([key])?.isInvalidated;
  return { queries, mount, isStale, unmount: mount() };
}

it("forgets the place in the feed with the layout, and loads again what the feed covers", async () => {
  const { queries, unmount, isStale } = mountLayout();
  unmount();
  forgetCursor(queries);
  await Promise.resolve();
  expect(queries.getQueryData(cursorQuery.queryKey)).toBeUndefined();
  expect([isStale("orders"), isStale("context")]).toEqual([true, false]);
  queries.clear();
});

it("keeps the place of a layout that is mounted again at once, as by StrictMode", async () => {
  const { queries, mount, unmount, isStale } = mountLayout();
  unmount();
  forgetCursor(queries);
  mount();
  await Promise.resolve();
  expect(queries.getQueryData(cursorQuery.queryKey)).toBe("cursor-of-the-start");
  expect(isStale("orders")).toBe(false);
  queries.clear();
});
