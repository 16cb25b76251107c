import { createRoute, redirect } from "@tanstack/react-router";

import { session } from "@/api/session";
import { lazyPage } from "@/lib/lazy-page";
import { ownPath, publicRoute } from "@/routes";

interface Search {
  /** The path to go to afterwards. */
  next?: string | undefined;
}

export const signUpRoute = createRoute({
  getParentRoute: () => publicRoute,
  path: "/sign-up",
  validateSearch: (search: Record<string, unknown>): Search => ({ next: ownPath(search["next"]) }),
  beforeLoad: ({ search }) => {
    if (session.get().status === "signed-in") throw redirect({ href: search.next ?? "/", replace: true });
  },
  component: lazyPage(() => import("./page"), "SignUpPage", "auth"),
});
