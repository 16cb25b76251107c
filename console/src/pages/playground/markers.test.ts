import { expect, it } from "vitest";

import { splitMarkers, withoutMarkers } from "./markers";

it("splits at markers, and at nothing else in brackets", () => {
  expect(splitMarkers("1 500 F CFA [1][2], voir [Tarifs] [123].")).toEqual(["1 500 F CFA ", 1, 2, ", voir [Tarifs] [123]."]);
  expect(splitMarkers("")).toEqual([]);
  expect(splitMarkers("[3]")).toEqual([3]);
});

it("takes the markers of citations out, and nothing else", () => {
  expect(withoutMarkers("1 500 F CFA [1][2], taille [38].", [1, 2])).toBe("1 500 F CFA, taille [38].");
  expect(withoutMarkers("[1] Oui", [])).toBe("[1] Oui");
});
