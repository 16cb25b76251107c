import { createRoute } from "@tanstack/react-router";

import { lazyPage } from "@/lib/lazy-page";
import { publicRoute } from "@/routes";

export const passwordResetRoute = createRoute({
  getParentRoute: () => publicRoute,
  path: "/password-reset",
  component: lazyPage(() => import("./page"), "PasswordResetPage", "auth"),
});
