import { queryOptions } from "@tanstack/react-query";

import { call, client } from "@/api/client";
import { ApiError } from "@/api/errors";
import { readStored, writeStored } from "@/lib/storage";

import { isInWork, lastExportOf } from "./privacy-values";

const POLL_MS = 1_500;
/** Below the 15 minutes for which a link is valid. Each answer issues a new link, which the audit log records. */
const LINK_STALE_MS = 14 * 60_000;

const storageKey = (company: string) => `lisa.export.${company}`;

/** Remembers in this browser which export is the company's last one, as the API has no list of them. */
export const rememberExport = (company: string, id: string): void => writeStored(storageKey(company), id);

/** The id of the company's last export: by the audit log, which colleagues' requests are in, too; else by this browser. */
export const lastExportQuery = (company: string) =>
  queryOptions({
    queryKey: ["exports", "last", company],
    queryFn: async ({ signal }) => {
      const { data } = await call(client.GET("/api/v1/audit", { params: { query: { limit: 100 } }, signal }));
      return lastExportOf(data) ?? readStored(storageKey(company));
    },
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
