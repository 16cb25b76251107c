import { expect, it } from "vitest";

import { splitMarkers } from "./markers";

it("splits at markers, and at nothing else in brackets", () => {
  expect(splitMarkers("1 500 F CFA [1][2], voir [Tarifs] [123].")).toEqual(["1 500 F CFA ", 1, 2, ", voir [Tarifs] [123]."]);
  expect(splitMarkers("")).toEqual([]);
  expect(splitMarkers("[3]")).toEqual([3]);
});
