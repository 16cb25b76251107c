import { infiniteQueryOptions } from "@tanstack/react-query";

import { call, client, type Schemas } from "@/api/client";

export type UnansweredQuestion = Schemas["Unanswered"];

const QUESTIONS_PAGE_SIZE = 100;

export const unansweredQuery = infiniteQueryOptions({
  queryKey: ["unanswered", "list"],
  queryFn: async ({ signal, pageParam }) =>
    call(
      client.GET("/api/v1/unanswered-questions", {
        params: { query: { limit: QUESTIONS_PAGE_SIZE, ...(pageParam !== null && { cursor: pageParam }) } },
        signal,
      }),
    ),
  initialPageParam: null as string | null,
  getNextPageParam: (last) => last.meta.next_cursor ?? null,
});
