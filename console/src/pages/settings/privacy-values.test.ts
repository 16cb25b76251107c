import { expect, it } from "vitest";

import { type Export, hasEndedSince, isConfirmed, isGone, monthsOf, retentionStart } from "./privacy-values";

it("takes whole months from 1 to 60 only", () => {
  expect([" 1 ", "12", "60"].map(monthsOf)).toEqual([1, 12, 60]);
  expect(["", "0", "61", "-3", "1.5", "1e1", "6 months", "999"].map(monthsOf)).toEqual([null, null, null, null, null, null, null, null]);
});

it("counts months back, to the last day of a shorter month", () => {
  const start = (months: number, now: string) => retentionStart(months, new Date(now)).toISOString();
  expect(start(1, "2026-11-29T10:00:00Z")).toBe("2026-10-29T10:00:00.000Z");
  expect(start(12, "2026-11-29T10:00:00Z")).toBe("2025-11-29T10:00:00.000Z");
  expect(start(1, "2026-03-31T10:00:00Z")).toBe("2026-02-28T10:00:00.000Z");
  expect(start(12, "2024-02-29T10:00:00Z")).toBe("2023-02-28T10:00:00.000Z");
  expect(start(60, "2026-01-31T10:00:00Z")).toBe("2021-01-31T10:00:00.000Z");
});

it("compares a typed name as it reads, not as it is composed", () => {
  expect(isConfirmed("  Épicerie   Zoé ", "Épicerie Zoé")).toBe(true);
  expect(isConfirmed("E\u0301picerie Zoe\u0301", "Épicerie Zoé")).toBe(true);
  expect(isConfirmed("épicerie zoé", "Épicerie Zoé")).toBe(false);
  expect(isConfirmed("", " ")).toBe(false);
});

const exportWith = (status: string): Export => ({ id: "3f1d2c4b-0c7e-4a53-8a4e-5d2f9b1c5a69", status, created_at: "2026-11-29T12:00:00Z" });

it("knows that the list is older than the end of an export", () => {
  expect(["ready", "failed", "expired"].map((status) => hasEndedSince(exportWith("running"), exportWith(status)))).toEqual([true, true, true]);
  expect(hasEndedSince(exportWith("queued"), null)).toBe(true);
  expect(hasEndedSince(exportWith("queued"), exportWith("running"))).toBe(false);
  expect(hasEndedSince(exportWith("ready"), exportWith("expired"))).toBe(false);
});

it("knows a deleted archive, and not one of which nothing was asked yet", () => {
  expect([null, exportWith("expired")].map(isGone)).toEqual([true, true]);
  expect([undefined, exportWith("ready"), exportWith("running")].map(isGone)).toEqual([false, false, false]);
});
