import type { Schemas } from "@/api/client";
import { dayOf, defined, oneOf, pageOf, textOf } from "@/lib/search";

export type OrderStatus = Schemas["OrderStatus"];

export const STATUSES = ["pending", "confirmed", "preparing", "delivered", "cancelled"] as const satisfies readonly OrderStatus[];
/** The orders of the list; the first is the default. */
export const SORTS = ["-created_at", "created_at", "-updated_at", "-total_amount", "total_amount"] as const;

/** Search parameters of the list of orders. An order's own address keeps them for the way back to the list. */
export interface OrdersSearch {
  search?: string | undefined;
  status?: OrderStatus | undefined;
  /** Days in the company's timezone. */
  from?: string | undefined;
  to?: string | undefined;
  sort?: (typeof SORTS)[number] | undefined;
  page?: number | undefined;
}

/** Reads the search parameters. Invalid ones are undefined by name: the router would pass on a parameter that is not named. */
export function parseOrdersSearch(raw: Record<string, unknown>): OrdersSearch {
  return {
    search: textOf(raw["search"]),
    status: oneOf(raw["status"], STATUSES),
    from: dayOf(raw["from"]),
    to: dayOf(raw["to"]),
    sort: oneOf(raw["sort"], SORTS),
    page: pageOf(raw["page"]),
  };
}

/** The list's part of an address, and nothing else that stands there. */
export const listSearchOf = (search: OrdersSearch) => defined(parseOrdersSearch({ ...search }));

/** True when the list may lack orders because of a filter. */
export function isFiltered({ search, status, from, to }: OrdersSearch): boolean {
  return [search, status, from, to].some((value) => value !== undefined);
}
