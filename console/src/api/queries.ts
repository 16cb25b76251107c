/** The one cache of the server's answers, with its rules for retries and for failed changes. */
import { MutationCache, QueryClient } from "@tanstack/react-query";

import { showError } from "@/layout/toasts";

import { ApiError } from "./errors";

declare module "@tanstack/react-query" {
  interface Register {
    defaultError: Error;
    mutationMeta: {
      /** The page shows the error itself; no toast. */
      showsError?: boolean;
    };
  }
}

const MAX_RETRIES = 3;
const MAX_RETRY_DELAY_MS = 30_000;

/** Milliseconds before the next try: the server's `Retry-After`, else 1, 2, 4 seconds. */
export function retryDelay(attempt: number, error: Error): number {
  const asked = error instanceof ApiError && error.retryAfterS !== null ? error.retryAfterS * 1000 : 1000 * 2 ** attempt;
  return Math.min(asked, MAX_RETRY_DELAY_MS);
}

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      retry: (failures, error) => error instanceof ApiError && error.isTransient && failures < MAX_RETRIES,
      retryDelay,
    },
    // A change is never repeated by itself: most have no idempotency key.
    mutations: { retry: false },
  },
  mutationCache: new MutationCache({
    onError: (error, _variables, _context, mutation) => {
      if (mutation.meta?.showsError !== true) showError(error);
    },
  }),
});
