import { expect, it } from "vitest";

import { ApiError } from "@/api/errors";
import { orders } from "@/texts/en/orders";

import { conflictText } from "./conflict";
import { nextActive, orderSchema, patchOf, valuesOf } from "./form";
import type { Order } from "./queries";
import { isFiltered, parseOrdersSearch } from "./search";
import { canCancel, canDelete, nextStatus } from "./steps";

const order: Order = {
  id: "3f1d2c4b-0c7e-4a53-8a4e-5d2f9b1c5a69",
  number: "3F1D2C4B",
  conversation_id: null,
  customer_name: "Awa Koné",
  status: "pending",
  items: [
    { product_id: "5d2f9b1c-0c7e-4a53-8a4e-3f1d2c4b5a69", name: "Café moulu", quantity: 2, unit_price: "2500" },
    { product_id: null, name: "Sac", quantity: 1, unit_price: null },
  ],
  total_amount: "5000",
  currency: "XOF",
  needs_review: true,
  created_at: "2026-11-23T09:30:06Z",
  updated_at: "2026-11-23T09:30:06Z",
};

it("sends what was changed only", () => {
  expect(patchOf(valuesOf(order), order)).toBeNull();
  expect(patchOf({ ...valuesOf(order), customer_name: "  " }, order)).toEqual({ customer_name: null });
  const priced = valuesOf(order);
  priced.items[1] = { product_id: "", name: "Sac", quantity: "1", unit_price: "1 250,5" };
  expect(patchOf(priced, order)).toEqual({
    items: [
      { product_id: "5d2f9b1c-0c7e-4a53-8a4e-3f1d2c4b5a69", name: "Café moulu", quantity: 2, unit_price: "2500" },
      { product_id: null, name: "Sac", quantity: 1, unit_price: "1250.5" },
    ],
  });
});

it("refuses quantities and prices that the API would refuse", () => {
  const check = (item: object) =>
    orderSchema({ orders }).safeParse({ customer_name: "", items: [{ product_id: "", name: "Sac", quantity: "1", unit_price: "", ...item }] });
  expect(check({}).success).toBe(true);
  for (const wrong of [{ quantity: "0" }, { quantity: "1000" }, { quantity: "1.5" }, { unit_price: "-1" }, { unit_price: "1,500" }, { name: " " }]) {
    expect(check(wrong).success, JSON.stringify(wrong)).toBe(false);
  }
});

it("walks by arrows from the written text through the products and back", () => {
  expect([nextActive(-1, 1, 3), nextActive(2, 1, 3), nextActive(-1, -1, 3), nextActive(0, -1, 3)]).toEqual([0, -1, 2, -1]);
  expect([nextActive(-1, 1, 0), nextActive(-1, -1, 0)]).toEqual([-1, -1]);
});

it("offers the steps that the API allows", () => {
  const steps = (["pending", "confirmed", "preparing", "delivered", "cancelled"] as const).map((status) => [
    nextStatus(status),
    canCancel(status),
    canDelete(status),
  ]);
  expect(steps).toEqual([
    ["confirmed", true, true],
    ["preparing", true, false],
    ["delivered", true, false],
    [null, false, false],
    [null, false, true],
  ]);
});

it("reads the address, and leaves out what is no filter", () => {
  expect(parseOrdersSearch({ search: " Awa ", status: "lost", from: "2026-02-30", to: "2026-11-29", sort: "-total_amount", page: 3, x: 1 })).toEqual({
    search: "Awa",
    to: "2026-11-29",
    sort: "-total_amount",
    page: 3,
  });
  expect([isFiltered({ sort: "created_at", page: 2 }), isFiltered({ status: "pending" })]).toEqual([false, true]);
});

it("says what a refused order is by now", () => {
  const refused = (code: string, details: unknown) => conflictText(new ApiError(409, code, "", { details }), orders);
  expect(refused("wrong_order_step", { status: "delivered", allowed: [] })).toContain("“Delivered”");
  expect(refused("order_in_progress", { status: "confirmed" })).toContain("cancel it first");
  expect(refused("wrong_order_step", null)).toBeNull();
  expect(refused("order_needs_review", { status: "pending" })).toBeNull();
});
