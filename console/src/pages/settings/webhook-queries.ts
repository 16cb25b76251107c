import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { call, client } from "@/api/client";
import { defined } from "@/lib/search";

import { type DeliveryStatus, nextLookMs } from "./webhook-values";

const PAGE_SIZE = 20;

export interface DeliveriesSearch {
  status?: DeliveryStatus | undefined;
  page?: number | undefined;
}

/** The company's endpoints, at most five. */
export const endpointsQuery = queryOptions({
  queryKey: ["webhooks", "list"],
  queryFn: async ({ signal }) => (await call(client.GET("/api/v1/webhook-endpoints", { signal }))).data,
});

export const endpointQuery = (id: string) =>
  queryOptions({
    queryKey: ["webhooks", "one", id],
    queryFn: async ({ signal }) => (await call(client.GET("/api/v1/webhook-endpoints/{id}", { params: { path: { id } }, signal }))).data,
  });

/** A page of an endpoint's deliveries, fetched again when an attempt is due: deliveries are not in the changes feed. */
export const deliveriesQuery = (id: string, { status, page }: DeliveriesSearch) =>
  queryOptions({
    queryKey: ["webhooks", "deliveries", id, status ?? "all", page ?? 1],
    queryFn: async ({ signal }) => {
      const query = { limit: PAGE_SIZE, ...defined({ status, page }) };
      return call(client.GET("/api/v1/webhook-endpoints/{id}/deliveries", { params: { path: { id }, query }, signal }));
    },
    refetchInterval: ({ state }) => nextLookMs(state.data?.data ?? [], Date.now()),
    placeholderData: keepPreviousData,
  });
