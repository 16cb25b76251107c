import { createRoute, lazyRouteComponent } from "@tanstack/react-router";

import { publicRoute } from "@/routes";

export const invitationRoute = createRoute({
  getParentRoute: () => publicRoute,
  path: "/invitation",
  component: lazyRouteComponent(() => import("./page"), "InvitationPage"),
});
