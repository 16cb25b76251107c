import { infiniteQueryOptions } from "@tanstack/react-query";

import { call, client, type Schemas } from "@/api/client";

export type DocumentItem = Schemas["Document"];
export type DocumentStatus = Schemas["DocumentStatus"];

const PAGE_SIZE = 50;

export const documentsQuery = (status: DocumentStatus | undefined) =>
  infiniteQueryOptions({
    queryKey: ["documents", "list", status ?? "all"],
    queryFn: async ({ signal, pageParam }) =>
      call(
        client.GET("/api/v1/documents", {
          params: { query: { limit: PAGE_SIZE, ...(status && { status }), ...(pageParam !== null && { cursor: pageParam }) } },
          signal,
        }),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.meta.next_cursor ?? null,
  });
