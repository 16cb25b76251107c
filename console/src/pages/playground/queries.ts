import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";

import { call, client, type Schemas } from "@/api/client";

export type GoldenQuestion = Schemas["GoldenQuestion"];
export type GoldenRun = Schemas["GoldenRun"];
export type PreviewAnswer = Schemas["PreviewAnswer"];
export type PromptField = Schemas["PromptField"];

/** Limits of the API. */
export const MAX_PROMPT_CHARACTERS = 20_000;
export const MAX_GOLDEN_QUESTIONS = 30;

export const configQuery = queryOptions({
  queryKey: ["company-config"],
  queryFn: async ({ signal }) => (await call(client.GET("/api/v1/companies/me/config", { signal }))).data,
});

export const goldenQuestionsQuery = infiniteQueryOptions({
  queryKey: ["golden-questions", "list"],
  queryFn: async ({ signal, pageParam }) =>
    call(
      client.GET("/api/v1/golden-questions", {
        params: { query: { limit: MAX_GOLDEN_QUESTIONS, ...(pageParam !== null && { cursor: pageParam }) } },
        signal,
      }),
    ),
  initialPageParam: null as string | null,
  getNextPageParam: (last) => last.meta.next_cursor ?? null,
});

export interface TimedPreview {
  answer: PreviewAnswer | null;
  golden: GoldenRun | null;
  ms: number;
}

/** Runs a preview of the configuration in force, or of a draft of one prompt. */
export async function preview(body: Schemas["PreviewRequest"]): Promise<TimedPreview> {
  const begin = performance.now();
  const { data } = await call(client.POST("/api/v1/companies/me/config/preview", { body }));
  return { answer: data.answer ?? null, golden: data.golden ?? null, ms: performance.now() - begin };
}
