import { createRoute } from "@tanstack/react-router";

import { lazyPage } from "@/lib/lazy-page";
import { appRoute } from "@/routes";

interface DocumentSearch {
  /** The page of a PDF, or the part of another file, from 1. */
  page?: number;
}

export const documentRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/documents/$documentId",
  // Invalid values are returned as undefined: the router would keep a parameter that the result does not name.
  validateSearch: ({ page }: Record<string, unknown>): DocumentSearch => {
    const number = Number(page);
    return { page: Number.isInteger(number) && number > 1 ? number : undefined };
  },
  component: lazyPage(() => import("./page"), "DocumentPage", "document", "documents"),
});
