import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";

import { call, client, type Schemas } from "@/api/client";

export type Config = Schemas["CompanyConfig"];
export type ConfigPatch = Schemas["ConfigPatch"];
export type ConfigVersion = Schemas["ConfigVersion"];
export type Customer = Schemas["CustomerDetails"];
export type CustomerPatch = Schemas["CustomerPatch"];
export type Invitation = Schemas["Invitation"];
export type Member = Schemas["Member"];
export type PublicPlan = Schemas["PublicPlan"];
export type Usage = Schemas["PlanUsage"];
export type Subscription = Schemas["SubscriptionNow"];
export type BillingRecord = Schemas["BillingRecord"];
export type AuditEntry = Schemas["AuditEntry"];
export type Profile = Schemas["Profile"];

const PAGE_SIZE = 50;

interface ListMeta {
  meta: { next_cursor?: string | null };
}

/** Paging by cursor, which every list of the API has. */
const byCursor = {
  initialPageParam: null as string | null,
  getNextPageParam: (last: ListMeta) => last.meta.next_cursor ?? null,
};
const page = (cursor: string | null) => ({ limit: PAGE_SIZE, ...(cursor !== null && { cursor }) });

export const configQuery = queryOptions({
  queryKey: ["config"],
  queryFn: async ({ signal }) => (await call(client.GET("/api/v1/companies/me/config", { signal }))).data,
});

export const versionsQuery = queryOptions({
  queryKey: ["config", "versions"],
  queryFn: async ({ signal }) => (await call(client.GET("/api/v1/companies/me/config/versions", { signal }))).data,
});

export const customerQuery = queryOptions({
  queryKey: ["customer"],
  queryFn: async ({ signal }) => (await call(client.GET("/api/v1/customers/me", { signal }))).data,
});

export const membersQuery = infiniteQueryOptions({
  queryKey: ["members"],
  queryFn: async ({ signal, pageParam }) => call(client.GET("/api/v1/customers/me/members", { params: { query: page(pageParam) }, signal })),
  ...byCursor,
});

export const invitationsQuery = infiniteQueryOptions({
  queryKey: ["invitations", "open"],
  queryFn: async ({ signal, pageParam }) =>
    call(client.GET("/api/v1/customers/me/invitations", { params: { query: { ...page(pageParam), status: "open" } }, signal })),
  ...byCursor,
});

export const plansQuery = queryOptions({
  queryKey: ["plans"],
  queryFn: async ({ signal }) => (await call(client.GET("/api/v1/plans", { signal }))).data,
});

export const subscriptionQuery = queryOptions({
  queryKey: ["billing", "subscription"],
  queryFn: async ({ signal }) => (await call(client.GET("/api/v1/billing/subscription", { signal }))).data,
});

export const usageQuery = queryOptions({
  queryKey: ["billing", "usage"],
  queryFn: async ({ signal }) => (await call(client.GET("/api/v1/billing/usage", { signal }))).data,
});

export const invoicesQuery = infiniteQueryOptions({
  queryKey: ["billing", "invoices"],
  queryFn: async ({ signal, pageParam }) => call(client.GET("/api/v1/billing/invoices", { params: { query: page(pageParam) }, signal })),
  ...byCursor,
});

export const auditQuery = infiniteQueryOptions({
  queryKey: ["audit"],
  queryFn: async ({ signal, pageParam }) => call(client.GET("/api/v1/audit", { params: { query: page(pageParam) }, signal })),
  ...byCursor,
});

export const unreadQuery = queryOptions({
  queryKey: ["unread-messages"],
  queryFn: async ({ signal }) => (await call(client.GET("/api/v1/unread-messages", { params: { query: { limit: 5 } }, signal }))).data,
});
