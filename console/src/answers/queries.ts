import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";

import { call, client, type Schemas } from "@/api/client";

export type ApprovedAnswer = Schemas["StoredAnswer"];

/** Limits of the API. */
export const MAX_QUESTION_CHARACTERS = 1_000;
export const MAX_ANSWER_CHARACTERS = 4_096;

const PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 100;

export const approvedAnswersQuery = infiniteQueryOptions({
  queryKey: ["approved-answers", "list"],
  queryFn: async ({ signal, pageParam }) =>
    call(
      client.GET("/api/v1/approved-answers", {
        params: { query: { limit: PAGE_SIZE, ...(pageParam !== null && { cursor: pageParam }) } },
        signal,
      }),
    ),
  initialPageParam: null as string | null,
  getNextPageParam: (last) => last.meta.next_cursor ?? null,
});

/** The approved answers with this text, which the API gives unchanged. A company has at most 1,000 answers to look through. */
export const answersWithTextQuery = (text: string) =>
  queryOptions({
    queryKey: ["approved-answers", "with-text", text],
    queryFn: async ({ signal }) => {
      const found: ApprovedAnswer[] = [];
      let cursor: string | null = null;
      do {
        const query: { limit: number; cursor?: string } = { limit: MAX_PAGE_SIZE, ...(cursor !== null && { cursor }) };
        const page: Schemas["List_StoredAnswer"] = await call(client.GET("/api/v1/approved-answers", { params: { query }, signal }));
        found.push(...page.data.filter(({ answer }) => answer === text));
        cursor = page.meta.next_cursor ?? null;
      } while (cursor !== null);
      return found;
    },
  });
