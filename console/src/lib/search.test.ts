import { expect, it } from "vitest";

import { dayOf, defined, oneOf, pageOf, textOf } from "./search";

it("takes days that exist only", () => {
  expect(dayOf("2026-02-28")).toBe("2026-02-28");
  for (const wrong of ["2026-02-30", "2026-13-01", "29/11/2026", "", 20261129, undefined]) expect(dayOf(wrong)).toBeUndefined();
});

it("takes pages after the first only", () => {
  expect([2, 1, 0, -3, 2.5, "2", Number.NaN].map(pageOf)).toEqual([2, undefined, undefined, undefined, undefined, undefined, undefined]);
});

it("reads a number as the text that was typed, and nothing as no text", () => {
  expect([textOf(" Awa "), textOf(42), textOf("  "), textOf(null), textOf("x".repeat(300))?.length]).toEqual(["Awa", "42", undefined, undefined, 200]);
});

it("takes known values only", () => {
  expect([oneOf("b", ["a", "b"]), oneOf("c", ["a", "b"]), oneOf(undefined, ["a"])]).toEqual(["b", undefined, undefined]);
});

it("leaves undefined values out", () => {
  expect(Object.keys(defined({ a: 1, b: undefined, c: null }))).toEqual(["a", "c"]);
});
