import { infiniteQueryOptions } from "@tanstack/react-query";

import { call, client, type Schemas } from "@/api/client";

export type UnansweredQuestion = Schemas["Unanswered"];
export type ApprovedAnswer = Schemas["StoredAnswer"];
export type AnswerLanguage = "fr" | "en";

/** Limits of the API. */
export const MAX_QUESTION_CHARACTERS = 1_000;
export const MAX_ANSWER_CHARACTERS = 4_096;

const QUESTIONS_PAGE_SIZE = 100;
const ANSWERS_PAGE_SIZE = 50;

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

export const approvedAnswersQuery = infiniteQueryOptions({
  queryKey: ["approved-answers", "list"],
  queryFn: async ({ signal, pageParam }) =>
    call(
      client.GET("/api/v1/approved-answers", {
        params: { query: { limit: ANSWERS_PAGE_SIZE, ...(pageParam !== null && { cursor: pageParam }) } },
        signal,
      }),
    ),
  initialPageParam: null as string | null,
  getNextPageParam: (last) => last.meta.next_cursor ?? null,
});
