import { createRoute } from "@tanstack/react-router";
import { ListChecks } from "lucide-react";

import type { NavigationEntry } from "@/layout/navigation";
import { lazyPage } from "@/lib/lazy-page";
import { appRoute } from "@/routes";

/** The console's own address: leads an owner of a new company to the first hour, everybody else to the inbox. */
export const homeRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/",
  component: lazyPage(() => import("./home"), "HomePage"),
});

export const startRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/start",
  component: lazyPage(() => import("./page"), "StartPage", "start", "auth", "manychat"),
});

export const startEntry: NavigationEntry = {
  to: "/start",
  label: ({ navigation }) => navigation.start,
  icon: ListChecks,
  roles: ["owner"],
};
