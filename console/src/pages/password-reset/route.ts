import { createRoute, lazyRouteComponent } from "@tanstack/react-router";

import { publicRoute } from "@/routes";

export const passwordResetRoute = createRoute({
  getParentRoute: () => publicRoute,
  path: "/password-reset",
  component: lazyRouteComponent(() => import("./page"), "PasswordResetPage"),
});
