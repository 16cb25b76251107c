import { createRoute } from "@tanstack/react-router";
import { ChartColumn } from "lucide-react";

import type { NavigationEntry } from "@/layout/navigation";
import { lazyPage } from "@/lib/lazy-page";
import { appRoute } from "@/routes";

import { parseDashboardSearch } from "./period";

export const dashboardRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/dashboard",
  validateSearch: parseDashboardSearch,
  component: lazyPage(() => import("./page"), "DashboardPage", "dashboard"),
});

export const dashboardEntry: NavigationEntry = {
  to: "/dashboard",
  label: ({ navigation }) => navigation.dashboard,
  icon: ChartColumn,
};
