import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";

import { call, client } from "@/api/client";
import { ApiError } from "@/api/errors";

import { isInWork } from "./privacy-values";

const POLL_MS = 1_500;
/** Below the 15 minutes for which a link is valid. Each answer issues a new link, which the audit log records. */
const LINK_STALE_MS = 14 * 60_000;
const PAGE_SIZE = 10;

/** The company's exports, newest first, without links. */
export const exportsQuery = infiniteQueryOptions({
  queryKey: ["exports", "list"],
  queryFn: async ({ signal, pageParam }) => {
    const query = { limit: PAGE_SIZE, ...(pageParam !== null && { cursor: pageParam }) };
    return call(client.GET("/api/v1/privacy/exports", { params: { query }, signal }));
  },
  initialPageParam: null as string | null,
  getNextPageParam: (last) => last.meta.next_cursor ?? null,
});

/** An export, with a new link when it is ready. Null when it is gone. */
export const exportQuery = (id: string) =>
  queryOptions({
    queryKey: ["exports", "one", id],
    queryFn: async ({ signal }) => {
      try {
        return (await call(client.GET("/api/v1/privacy/exports/{id}", { params: { path: { id } }, signal }))).data;
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return null;
        throw error;
      }
    },
    staleTime: LINK_STALE_MS,
    refetchInterval: ({ state }) => (state.data != null && isInWork(state.data) ? POLL_MS : false),
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
