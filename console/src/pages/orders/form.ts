/** The form of an order: its values, its checks, and what of them goes to the API. */
import { z } from "zod";

import type { Schemas } from "@/api/client";
import { parseAmount } from "@/lib/amount";
import type { Texts } from "@/texts";

import type { Order } from "./queries";

export const MAX_ITEMS = 50;
export const MAX_QUANTITY = 999;
const MAX_NAME_CHARS = 200;

/** An item as it is typed. */
export interface ItemValues {
  /** The product of the catalogue; empty for anything else. */
  product_id: string;
  name: string;
  quantity: string;
  /** Empty while there is no price. */
  unit_price: string;
}

export interface OrderValues {
  customer_name: string;
  items: ItemValues[];
}

export const EMPTY_ITEM: ItemValues = { product_id: "", name: "", quantity: "1", unit_price: "" };
export const EMPTY_ORDER: OrderValues = { customer_name: "", items: [EMPTY_ITEM] };

export function orderSchema({ orders }: Pick<Texts, "orders">) {
  const isQuantity = (text: string) => /^[1-9]\d{0,2}$/.test(text.trim());
  return z.object({
    customer_name: z.string().max(MAX_NAME_CHARS),
    items: z.array(
      z.object({
        product_id: z.string(),
        name: z.string().trim().min(1, orders.nameMissing).max(MAX_NAME_CHARS),
        quantity: z.string().refine(isQuantity, orders.quantityInvalid),
        unit_price: z.string().refine((text) => text.trim() === "" || parseAmount(text) !== undefined, orders.priceInvalid),
      }),
    ),
  });
}

export function valuesOf(order: Order): OrderValues {
  return {
    customer_name: order.customer_name ?? "",
    items: order.items.map((item) => ({
      product_id: item.product_id ?? "",
      name: item.name,
      quantity: String(item.quantity),
      unit_price: item.unit_price ?? "",
    })),
  };
}

/** The items for the API. A product without a typed price gets the catalogue's. */
export function itemsOf(values: OrderValues): Schemas["NewOrderItem"][] {
  return values.items.map(({ product_id, name, quantity, unit_price }) => ({
    product_id: product_id === "" ? null : product_id,
    name: name.trim(),
    quantity: Number(quantity),
    unit_price: parseAmount(unit_price) ?? null,
  }));
}

export const customerOf = ({ customer_name }: OrderValues) => (customer_name.trim() === "" ? null : customer_name.trim());

/** The place of the marked product after an arrow key, of `count`; -1 is the written text itself. */
export function nextActive(active: number, step: 1 | -1, count: number): number {
  const places = count + 1;
  return ((active + 1 + step + places) % places) - 1;
}

/** The patch of what was changed; null when nothing was. */
export function patchOf(values: OrderValues, order: Order): Schemas["OrderPatch"] | null {
  const items = itemsOf(values);
  const before = itemsOf(valuesOf(order));
  const patch: Schemas["OrderPatch"] = {};
  if (customerOf(values) !== (order.customer_name ?? null)) patch.customer_name = customerOf(values);
  if (JSON.stringify(items) !== JSON.stringify(before)) patch.items = items;
  return Object.keys(patch).length === 0 ? null : patch;
}
