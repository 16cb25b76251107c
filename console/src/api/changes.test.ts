import { expect, it, vi } from "vitest";

vi.mock("./client", () => ({ send: vi.fn() }));

const { deletedMessages, noteDeletions, paceOf, touchedKeys } = await import("./changes");

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
