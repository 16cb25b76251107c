import { createRoute, lazyRouteComponent } from "@tanstack/react-router";

import { appRoute } from "@/routes";

interface DocumentSearch {
  /** The page of a PDF, or the part of another file, from 1. */
  page?: number;
}

export const documentRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/documents/$documentId",
  validateSearch: ({ page }: Record<string, unknown>): DocumentSearch => {
    const number = Number(page);
    return Number.isInteger(number) && number > 1 ? { page: number } : {};
  },
  component: lazyRouteComponent(() => import("./page"), "DocumentPage"),
});
