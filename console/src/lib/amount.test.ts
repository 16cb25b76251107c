import { expect, it } from "vitest";

import { parseAmount, totalOf } from "./amount";

it("reads prices as people write them", () => {
  const read = ["2500", "2 500", "2\u202f500", "12,5", "12,50", "12.50", "0"].map(parseAmount);
  expect(read).toEqual(["2500", "2500", "2500", "12.5", "12.50", "12.50", "0"]);
});

it("refuses what may be two prices, or none", () => {
  for (const wrong of ["", "1,500", "1.500,00", "-5", "+5", "1e3", "12.505", "2500 F", "١٢"]) expect(parseAmount(wrong), wrong).toBeUndefined();
});

it("sums without losing a digit, and passes over items without a price", () => {
  expect(totalOf([{ quantity: 3, unit_price: "0.10" }, { quantity: 1, unit_price: null }])).toBe("0.30");
  expect(totalOf([{ quantity: 999, unit_price: "99999999999.99" }])).toBe("99899999999990.01");
  expect(totalOf([])).toBe("0.00");
});
