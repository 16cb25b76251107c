import { createRouter, type RouteComponent } from "@tanstack/react-router";

import { session } from "@/api/session";
import { queryClient } from "@/api/queries";
import { adminPages, memberPages, publicPages } from "@/pages";

import { appRoute, publicRoute, rootRoute } from "./routes";

const routeTree = rootRoute.addChildren([publicRoute.addChildren(publicPages), appRoute.addChildren(memberPages), adminPages]);

export const router = createRouter({
  routeTree,
  defaultPreload: "intent",
  // The cache is TanStack Query's; the router keeps none beside it.
  defaultPreloadStaleTime: 0,
  scrollRestoration: false,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

/**
 * Begins to load the parts of the page that the address names, while the session is restored. The router itself asks for
 * them only when it renders, which would be a round trip later. A part that fails is asked for again by the router.
 */
export function preloadPage(): void {
  const [matchedRoutes] = router.getMatchedRoutes(router.latestLocation.pathname);
  for (const { options } of matchedRoutes) {
    const { component } = options as { component?: RouteComponent };
    void component?.preload?.();
  }
}

/** Leaves the pages of a company when its session ends, and forgets all that was loaded for another user or company. */
export function followSession(): void {
  let before = session.get();
  session.subscribe(() => {
    const now = session.get();
    const isSameView =
      before.status === "signed-in" &&
      now.status === "signed-in" &&
      before.userId === now.userId &&
      before.companyId === now.companyId;
    before = now;
    if (isSameView) return;
    queryClient.clear();
    void router.invalidate();
  });
}
