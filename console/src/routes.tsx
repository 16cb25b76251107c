/** The frames of the console: pages for everybody, and pages of a signed-in member. Pages hang below one of them; administrators have a third. */
import { createRootRoute, createRoute, lazyRouteComponent, Outlet, redirect } from "@tanstack/react-router";

import { session } from "@/api/session";
import { ErrorState, LoadingState, NotFoundState } from "@/layout/states";
import { Toasts } from "@/layout/toasts";

/** A path of the console; anything else in `next` would be a redirect to a stranger. */
export function ownPath(next: unknown): string | undefined {
  return typeof next === "string" && /^\/(?![/\\])/.test(next) ? next : undefined;
}

export const rootRoute = createRootRoute({
  component: () => (
    <>
      <Outlet />
      <Toasts />
    </>
  ),
  notFoundComponent: NotFoundState,
  pendingComponent: () => <LoadingState />,
  errorComponent: ({ error, reset }) => <ErrorState error={error} onRetry={reset} isWholePage />,
});

/** Frame of sign-in and the like: no session needed. */
export const publicRoute = createRoute({
  getParentRoute: () => rootRoute,
  id: "public",
  component: lazyRouteComponent(() => import("@/layout/public-layout"), "PublicLayout"),
});

/** Leads to the sign-in page, and from there back to `href`, unless somebody is signed in. */
export function requireSession(href: string): void {
  if (session.get().status === "signed-in") return;
  throw redirect({ to: "/sign-in", search: { next: href === "/" ? undefined : href }, replace: true });
}

/** Frame of the pages of a company: navigation, the company's context, the changes feed. */
export const appRoute = createRoute({
  getParentRoute: () => rootRoute,
  id: "app",
  beforeLoad: ({ location }) => requireSession(location.href),
  component: lazyRouteComponent(() => import("@/layout/app-layout"), "AppLayout"),
});
