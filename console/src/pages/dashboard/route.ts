import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { ChartColumn } from "lucide-react";

import type { NavigationEntry } from "@/layout/navigation";
import { appRoute } from "@/routes";

import { parseDashboardSearch } from "./period";

export const dashboardRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/dashboard",
  validateSearch: parseDashboardSearch,
  component: lazyRouteComponent(() => import("./page"), "DashboardPage"),
});

export const dashboardEntry: NavigationEntry = {
  to: "/dashboard",
  label: (texts) => texts.dashboard.title,
  icon: ChartColumn,
};
