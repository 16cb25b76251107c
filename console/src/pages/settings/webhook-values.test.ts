import { describe, expect, it } from "vitest";

import { type Delivery, isBeingSent, isRotating, nextLookMs, replaySince, statusOf, urlProblem } from "./webhook-values";

const NOW = Date.parse("2026-11-29T12:00:00Z");
const at = (seconds: number) => new Date(NOW + seconds * 1000).toISOString();
const delivery = (status: string, next?: number, more: Partial<Delivery> = {}) =>
  ({ status, attempts: 0, next_attempt_at: next === undefined ? null : at(next), ...more }) as Delivery;

it("calls an endpoint off before it calls it failing", () => {
  expect(statusOf({ enabled: true, failing_since: null })).toBe("active");
  expect(statusOf({ enabled: true })).toBe("active");
  expect(statusOf({ enabled: true, failing_since: at(-60) })).toBe("failing");
  expect(statusOf({ enabled: false, failing_since: at(-60) })).toBe("off");
});

describe("an address", () => {
  it.each([
    ["https://hooks.example.com/lisa", null],
    ["  https://hooks.example.com:8443/lisa?key=1 ", null],
    ["https://hooks.example.com:443/", null],
    ["HTTPS://EXAMPLE.COM", null],
    ["", "invalid"],
    ["hooks.example.com/lisa", "invalid"],
    ["https://", "invalid"],
    ["http://hooks.example.com/", "https"],
    ["javascript:alert(1)", "https"],
    ["https://me:secret@hooks.example.com/", "credentials"],
    ["https://me@hooks.example.com/", "credentials"],
    ["https://hooks.example.com:80/", "port"],
    ["https://hooks.example.com:9000/", "port"],
    [`https://hooks.example.com/${"a".repeat(2_000)}`, "long"],
  ])("%s: %s", (url, problem) => {
    expect(urlProblem(url)).toBe(problem);
  });
});

it("looks again when an attempt is due, seldom at an overdue one, and not at what is settled", () => {
  expect(nextLookMs([], NOW)).toBe(false);
  expect(nextLookMs([delivery("delivered"), delivery("failed")], NOW)).toBe(false);
  expect(nextLookMs([delivery("pending")], NOW)).toBe(1_000);
  expect(nextLookMs([delivery("pending", 300), delivery("pending", 2)], NOW)).toBe(2_000);
  expect(nextLookMs([delivery("pending", 60, { attempts: 1 })], NOW)).toBe(3_000);
  expect(nextLookMs([delivery("pending", -10)], NOW)).toBe(1_000);
  expect(nextLookMs([delivery("pending", -31)], NOW)).toBe(15_000);
  expect(nextLookMs([delivery("pending", 7_200)], NOW)).toBe(60_000);
});

it("says that a delivery is being sent only while an attempt is near", () => {
  expect(isBeingSent(delivery("pending"), NOW)).toBe(true);
  expect(isBeingSent(delivery("pending", 14), NOW)).toBe(true);
  expect(isBeingSent(delivery("pending", 15), NOW)).toBe(false);
  expect(isBeingSent(delivery("delivered", 1), NOW)).toBe(false);
  expect(isBeingSent(delivery("pending", 60, { attempts: 1 }), NOW)).toBe(true);
  expect(isBeingSent(delivery("pending", 60, { attempts: 1, error_code: "gone" }), NOW)).toBe(false);
});

it("counts a replay's period back from now", () => {
  expect(replaySince("hour", NOW)).toBe("2026-11-29T11:00:00.000Z");
  expect(replaySince("month", NOW)).toBe("2026-10-30T12:00:00.000Z");
});

it("knows that a secret is being replaced until its end", () => {
  expect(isRotating({ previous_secret_expires_at: null }, NOW)).toBe(false);
  expect(isRotating({ previous_secret_expires_at: at(1) }, NOW)).toBe(true);
  expect(isRotating({ previous_secret_expires_at: at(0) }, NOW)).toBe(false);
});
