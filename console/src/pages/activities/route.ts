import { createRoute } from "@tanstack/react-router";
import { History } from "lucide-react";

import type { NavigationEntry } from "@/layout/navigation";
import { lazyPage } from "@/lib/lazy-page";
import { appRoute } from "@/routes";

import { parseActivitiesSearch } from "./search";

export const activitiesRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/activities",
  validateSearch: parseActivitiesSearch,
  component: lazyPage(() => import("./page"), "ActivitiesPage", "activities"),
});

export const activitiesEntry: NavigationEntry = {
  to: "/activities",
  label: ({ navigation }) => navigation.activities,
  icon: History,
};
