import { expect, it } from "vitest";

import { pageRanges, rangeText } from "./page-ranges";

it("joins pages that follow each other", () => {
  expect(pageRanges([2, 3, 4, 9]).map(rangeText)).toEqual(["2–4", "9"]);
  expect(pageRanges([1]).map(rangeText)).toEqual(["1"]);
  expect(pageRanges([])).toEqual([]);
});
