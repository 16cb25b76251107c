import { expect, it } from "vitest";

import { addDays, bucketsOf, changeOf, type DayStats, lengthOf, parseDashboardSearch, periodBefore, periodOf, revenueIn, sum } from "./period";
import { niceCeiling } from "./scale";

const day = (date: string, messages = 0): DayStats => ({
  date,
  messages,
  conversations: 0,
  requests: 0,
  orders: 0,
  revenue: [],
  tokens: 0,
  cost_micros: 0,
  unanswered: 0,
  bot_answers: 0,
  person_answers: 0,
  handovers: 0,
  thumbs_up: 0,
  thumbs_down: 0,
});

it("counts days over the end of a month, of a year and of February", () => {
  expect([addDays("2026-12-31", 1), addDays("2028-02-28", 1), addDays("2026-03-01", -1)]).toEqual(["2027-01-01", "2028-02-29", "2026-02-28"]);
  expect(lengthOf({ from: "2026-01-01", to: "2026-12-31" })).toBe(365);
});

it("takes presets and ranges that the API takes", () => {
  expect(parseDashboardSearch({ days: 7 })).toEqual({ days: 7 });
  for (const raw of [{ days: 30 }, { days: 12 }, { from: "2026-02-01" }, { from: "2026-02-02", to: "2026-02-01" }, { from: "2025-01-01", to: "2026-11-29" }]) {
    expect(parseDashboardSearch(raw), JSON.stringify(raw)).toEqual({});
  }
  expect(parseDashboardSearch({ from: "2026-02-01", to: "2026-02-01", days: 7 })).toEqual({ from: "2026-02-01", to: "2026-02-01" });
});

it("names the last days with today among them, and as many before", () => {
  const period = periodOf({ days: 7 }, "2026-11-29");
  expect(period).toEqual({ from: "2026-11-23", to: "2026-11-29" });
  expect(periodBefore(period)).toEqual({ from: "2026-11-16", to: "2026-11-22" });
  expect(lengthOf(periodOf({}, "2026-11-29"))).toBe(30);
});

it("groups a long period by seven days, with the rest at its beginning, and loses no day", () => {
  const days = Array.from({ length: 100 }, (_, n) => day(addDays("2026-01-01", n), 1));
  const buckets = bucketsOf(days);
  expect([buckets.length, buckets[0]?.days.length, buckets.at(-1)?.days.length]).toEqual([15, 2, 7]);
  expect(buckets.reduce((total, bucket) => total + sum(bucket, ({ messages }) => messages), 0)).toBe(100);
  expect([buckets[0]?.from, buckets.at(-1)?.to]).toEqual(["2026-01-01", addDays("2026-01-01", 99)]);
  expect(bucketsOf(days.slice(0, 92))).toHaveLength(92);
});

it("adds revenue of the one currency, which may be negative", () => {
  const revenue = [
    { currency: "XOF", amount: "-500" },
    { currency: "EUR", amount: "12.50" },
  ];
  expect([revenueIn("XOF"), revenueIn("EUR"), revenueIn("USD")].map((of) => of({ ...day("2026-11-29"), revenue }))).toEqual([-500, 12.5, 0]);
});

it("compares with what was before, unless nothing was", () => {
  expect([changeOf(15, 10), changeOf(5, 10), changeOf(5, 0), changeOf(5, undefined), changeOf(5, -10)]).toEqual([0.5, -0.5, null, null, 1.5]);
});

it("rounds an axis up", () => {
  expect([0, 1, 3, 7, 12, 50, 51, 0.003].map(niceCeiling)).toEqual([1, 1, 5, 10, 20, 50, 100, 0.005]);
});
