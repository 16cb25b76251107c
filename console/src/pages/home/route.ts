import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { ListChecks } from "lucide-react";

import type { NavigationEntry } from "@/layout/navigation";
import { appRoute } from "@/routes";

/** The console's own address: leads an owner of a new company to the first hour, everybody else to the inbox. */
export const homeRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/",
  component: lazyRouteComponent(() => import("./home"), "HomePage"),
});

export const startRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/start",
  component: lazyRouteComponent(() => import("./page"), "StartPage"),
});

export const startEntry: NavigationEntry = {
  to: "/start",
  label: (texts) => texts.start.title,
  icon: ListChecks,
  roles: ["owner"],
};
