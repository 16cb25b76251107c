import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";

import { call, client, type Schemas } from "@/api/client";

import type { CompanyStatus } from "./route";

export type CompanySummary = Schemas["CustomerSummary"];
export type CompanyRecord = Schemas["CustomerRecord"];
export type UnassignedSubscription = Schemas["UnassignedSubscription"];

const PAGE_SIZE = 50;

/** Each read is in the audit log, so nothing is read again only because the window is looked at again. */
const audited = { staleTime: 300_000, refetchOnWindowFocus: false };

export const companiesQuery = (search: string | undefined, status: CompanyStatus | undefined) =>
  infiniteQueryOptions({
    queryKey: ["admin", "companies", search ?? "", status ?? "any"],
    queryFn: async ({ signal, pageParam }) =>
      call(
        client.GET("/api/v1/admin/customers", {
          params: {
            query: { limit: PAGE_SIZE, ...(search && { search }), ...(status && { status }), ...(pageParam !== null && { cursor: pageParam }) },
          },
          signal,
        }),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.meta.next_cursor ?? null,
    ...audited,
  });

export const companyQuery = (id: string) =>
  queryOptions({
    queryKey: ["admin", "company", id],
    queryFn: async ({ signal }) => (await call(client.GET("/api/v1/admin/customers/{id}", { params: { path: { id } }, signal }))).data,
    ...audited,
  });

export const unassignedQuery = infiniteQueryOptions({
  queryKey: ["admin", "subscriptions"],
  queryFn: async ({ signal, pageParam }) =>
    call(
      client.GET("/api/v1/admin/subscriptions", {
        params: { query: { limit: PAGE_SIZE, ...(pageParam !== null && { cursor: pageParam }) } },
        signal,
      }),
    ),
  initialPageParam: null as string | null,
  getNextPageParam: (last) => last.meta.next_cursor ?? null,
});

export const soldPlansQuery = queryOptions({
  queryKey: ["plans"],
  queryFn: async ({ signal }) => (await call(client.GET("/api/v1/plans", { signal }))).data,
});
