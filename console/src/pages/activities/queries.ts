import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { call, client, type Schemas } from "@/api/client";

import { type ActivitiesSearch, filtersOf } from "./search";

export type Activity = Schemas["ActivityItem"];

const PAGE_SIZE = 50;

export const activitiesQuery = (search: ActivitiesSearch) =>
  queryOptions({
    queryKey: ["activities", "list", filtersOf(search)],
    queryFn: async ({ signal }) => call(client.GET("/api/v1/activities", { params: { query: { limit: PAGE_SIZE, ...filtersOf(search) } }, signal })),
    placeholderData: keepPreviousData,
  });
