import { createRoute, lazyRouteComponent } from "@tanstack/react-router";

import { publicRoute } from "@/routes";

export const forgotPasswordRoute = createRoute({
  getParentRoute: () => publicRoute,
  path: "/forgot-password",
  component: lazyRouteComponent(() => import("./page"), "ForgotPasswordPage"),
});
