import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { call, client, type Schemas } from "@/api/client";

import type { Period } from "./period";

export type Stats = Schemas["Envelope_Stats"]["data"];

const REFRESH_MS = 60_000;

/** The figures of a period. They count up with each message, so they are asked for anew each minute, not at each change. */
export const statsQuery = ({ from, to }: Period) =>
  queryOptions({
    queryKey: ["dashboard", "stats", from, to],
    queryFn: async ({ signal }) => (await call(client.GET("/api/v1/dashboard/stats", { params: { query: { from, to } }, signal }))).data,
    placeholderData: keepPreviousData,
    refetchInterval: REFRESH_MS,
  });
