import type { Order } from "./queries";
import type { OrderStatus } from "./search";

/** The way of an order that is not cancelled. */
export const PATH = ["pending", "confirmed", "preparing", "delivered"] as const;

/** The next status on the way; null at its end and for a cancelled order. The API allows no other one. */
export function nextStatus(status: OrderStatus): "confirmed" | "preparing" | "delivered" | null {
  switch (status) {
    case "pending":
      return "confirmed";
    case "confirmed":
      return "preparing";
    case "preparing":
      return "delivered";
    default:
      return null;
  }
}

export const canCancel = (status: OrderStatus) => nextStatus(status) !== null;
export const canEditItems = (status: OrderStatus) => nextStatus(status) !== null;
export const canDelete = (status: OrderStatus) => status === "pending" || status === "cancelled";

/** Returns the number of items without a price. */
export const unpricedItems = (order: Order) => order.items.filter(({ unit_price }) => unit_price === null).length;
