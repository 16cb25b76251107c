import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";

import { call, client, type Schemas } from "@/api/client";

export type DocumentItem = Schemas["Document"];
export type DocumentStatus = Schemas["DocumentStatus"];
export type DocumentSort = "-upload_date" | "filename";

const PAGE_SIZE = 50;
const MAX_RECENT = 100;

export const documentsQuery = (status: DocumentStatus | undefined, sort: DocumentSort = "-upload_date") =>
  infiniteQueryOptions({
    queryKey: ["documents", "list", status ?? "all", sort],
    queryFn: async ({ signal, pageParam }) =>
      call(
        client.GET("/api/v1/documents", {
          params: { query: { limit: PAGE_SIZE, sort, ...(status && { status }), ...(pageParam !== null && { cursor: pageParam }) } },
          signal,
        }),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.meta.next_cursor ?? null,
  });

export const documentQuery = (id: string) =>
  queryOptions({
    queryKey: ["documents", "one", id],
    queryFn: async ({ signal }) => (await call(client.GET("/api/v1/documents/{id}", { params: { path: { id } }, signal }))).data,
  });

/** The newest documents, whatever the list shows: more than a person sends at once. */
export const recentDocumentsQuery = queryOptions({
  queryKey: ["documents", "recent"],
  queryFn: async ({ signal }) => (await call(client.GET("/api/v1/documents", { params: { query: { limit: MAX_RECENT } }, signal }))).data,
});

/** Number of documents from which answers come. */
export const readyDocumentsQuery = queryOptions({
  queryKey: ["documents", "ready"],
  queryFn: async ({ signal }) =>
    (await call(client.GET("/api/v1/documents", { params: { query: { status: "processed", limit: 1 } }, signal }))).meta.total,
});
