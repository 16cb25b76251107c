import { createRoute } from "@tanstack/react-router";

import { lazyPage } from "@/lib/lazy-page";
import { publicRoute } from "@/routes";

export const invitationRoute = createRoute({
  getParentRoute: () => publicRoute,
  path: "/invitation",
  component: lazyPage(() => import("./page"), "InvitationPage", "auth"),
});
