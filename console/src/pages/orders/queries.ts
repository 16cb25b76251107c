import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { call, client, type Schemas } from "@/api/client";

import { listSearchOf, type OrdersSearch } from "./search";

export type Order = Schemas["OrderDetails"];
export type OrderLine = Schemas["OrderLine"];
export type OrderPatch = Schemas["OrderPatch"];
export type NewOrder = Schemas["NewOrder"];
/** A product of the catalogue that may be chosen for an item. */
export type Suggestion = Schemas["CatalogueProduct"];

const PAGE_SIZE = 50;
const MAX_SUGGESTIONS = 20;

export const ordersQuery = (search: OrdersSearch) =>
  queryOptions({
    queryKey: ["orders", "list", listSearchOf(search)],
    queryFn: async ({ signal }) =>
      call(client.GET("/api/v1/orders", { params: { query: { limit: PAGE_SIZE, ...listSearchOf(search) } }, signal })),
    placeholderData: keepPreviousData,
  });

export const orderQuery = (id: string) =>
  queryOptions({
    queryKey: ["orders", "one", id],
    queryFn: async ({ signal }) => (await call(client.GET("/api/v1/orders/{id}", { params: { path: { id } }, signal }))).data,
  });

/** Products whose name contains the text, to be chosen for an item. Owners only: the API refuses others. */
export const suggestionsQuery = (text: string, isEnabled: boolean) =>
  queryOptions({
    queryKey: ["products", "suggestions", text],
    queryFn: async ({ signal }) =>
      (await call(client.GET("/api/v1/products", { params: { query: { limit: MAX_SUGGESTIONS, sort: "name", ...(text !== "" && { search: text }) } }, signal }))).data,
    enabled: isEnabled,
    placeholderData: keepPreviousData,
  });

export async function changeOrder(id: string, patch: OrderPatch): Promise<Schemas["Envelope_ChangedOrder"]["data"]> {
  return (await call(client.PATCH("/api/v1/orders/{id}", { params: { path: { id } }, body: patch }))).data;
}
