import { queryOptions } from "@tanstack/react-query";

import { call, client } from "@/api/client";

const UNREAD_INTERVAL_MS = 5_000;

/** The document that came last, with its state; null when there is none. */
export const newestDocumentQuery = queryOptions({
  queryKey: ["documents", "newest"],
  queryFn: async ({ signal }) => (await call(client.GET("/api/v1/documents", { params: { query: { limit: 1 } }, signal }))).data[0] ?? null,
});

/** True when a question was asked over the API, as the first hour does. */
export const askedQuery = queryOptions({
  queryKey: ["conversations", "asked"],
  queryFn: async ({ signal }) => {
    const query = { channel: "api" as const, limit: 1 };
    return (await call(client.GET("/api/v1/conversations", { params: { query }, signal }))).meta.total > 0;
  },
});

/** The newest conversation on WhatsApp; null while no message has come. */
export const firstMessageQuery = queryOptions({
  queryKey: ["conversations", "first"],
  queryFn: async ({ signal }) => (await call(client.GET("/api/v1/conversations", { params: { query: { limit: 1 } }, signal }))).data[0] ?? null,
});

/** The bodies that came and could not be read. The feed does not tell of them, so the page asks while it waits. */
export const unreadQuery = queryOptions({
  queryKey: ["unread"],
  queryFn: async ({ signal }) => {
    const { data, meta } = await call(client.GET("/api/v1/unread-messages", { params: { query: { limit: 1 } }, signal }));
    return { total: meta.total, last: data[0] ?? null };
  },
  refetchInterval: UNREAD_INTERVAL_MS,
});

export const companyQuery = queryOptions({
  queryKey: ["company"],
  queryFn: async ({ signal }) => (await call(client.GET("/api/v1/customers/me", { signal }))).data,
});

/** Number of members. */
export const teamQuery = queryOptions({
  queryKey: ["members", "count"],
  queryFn: async ({ signal }) => (await call(client.GET("/api/v1/customers/me/members", { params: { query: { limit: 1 } }, signal }))).meta.total,
});

/** Number of invitations that can be used. */
export const invitationsQuery = queryOptions({
  queryKey: ["invitations", "count"],
  queryFn: async ({ signal }) => {
    const query = { status: "open" as const, limit: 1 };
    return (await call(client.GET("/api/v1/customers/me/invitations", { params: { query }, signal }))).meta.total;
  },
});

export const plansQuery = queryOptions({
  queryKey: ["plans"],
  queryFn: async ({ signal }) => (await call(client.GET("/api/v1/plans", { signal }))).data,
});
