import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { History } from "lucide-react";

import type { NavigationEntry } from "@/layout/navigation";
import { appRoute } from "@/routes";

import { parseActivitiesSearch } from "./search";

export const activitiesRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/activities",
  validateSearch: parseActivitiesSearch,
  component: lazyRouteComponent(() => import("./page"), "ActivitiesPage"),
});

export const activitiesEntry: NavigationEntry = {
  to: "/activities",
  label: (texts) => texts.activities.title,
  icon: History,
};
