import { createRoute } from "@tanstack/react-router";

import { lazyPage } from "@/lib/lazy-page";
import { publicRoute } from "@/routes";

export const forgotPasswordRoute = createRoute({
  getParentRoute: () => publicRoute,
  path: "/forgot-password",
  component: lazyPage(() => import("./page"), "ForgotPasswordPage", "auth"),
});
