import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { Settings } from "lucide-react";

import type { NavigationEntry } from "@/layout/navigation";
import { appRoute } from "@/routes";

const frameRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/settings",
  component: lazyRouteComponent(() => import("./page"), "SettingsPage"),
});

// Each route is a constant of its own: inside of the array of children, its types would be lost.
const parent = () => frameRoute;
const first = createRoute({ getParentRoute: parent, path: "/", component: lazyRouteComponent(() => import("./page"), "FirstSection") });
const bot = createRoute({ getParentRoute: parent, path: "bot", component: lazyRouteComponent(() => import("./bot"), "BotSection") });
const sentences = createRoute({
  getParentRoute: parent,
  path: "sentences",
  component: lazyRouteComponent(() => import("./sentences"), "SentencesSection"),
});
const prompts = createRoute({
  getParentRoute: parent,
  path: "prompts",
  component: lazyRouteComponent(() => import("./prompts"), "PromptsSection"),
});
const hours = createRoute({
  getParentRoute: parent,
  path: "hours",
  component: lazyRouteComponent(() => import("./hours"), "HoursSection"),
});
const company = createRoute({
  getParentRoute: parent,
  path: "company",
  component: lazyRouteComponent(() => import("./company"), "CompanySection"),
});
const team = createRoute({ getParentRoute: parent, path: "team", component: lazyRouteComponent(() => import("./team"), "TeamSection") });
const manychat = createRoute({
  getParentRoute: parent,
  path: "manychat",
  component: lazyRouteComponent(() => import("./manychat"), "ManychatSection"),
});
const audit = createRoute({
  getParentRoute: parent,
  path: "audit",
  component: lazyRouteComponent(() => import("./audit"), "AuditSection"),
});
const plan = createRoute({ getParentRoute: parent, path: "plan", component: lazyRouteComponent(() => import("./plan"), "PlanSection") });
const usage = createRoute({
  getParentRoute: parent,
  path: "usage",
  component: lazyRouteComponent(() => import("./usage"), "UsageSection"),
});
const invoices = createRoute({
  getParentRoute: parent,
  path: "invoices",
  component: lazyRouteComponent(() => import("./invoices"), "InvoicesSection"),
});
const profile = createRoute({
  getParentRoute: parent,
  path: "profile",
  component: lazyRouteComponent(() => import("./profile"), "ProfileSection"),
});

/** A number of the address, such as the id of a version. */
const numberOf = (value: unknown): number | undefined => (Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : undefined);

const history = createRoute({
  getParentRoute: parent,
  path: "history",
  validateSearch: (search: Record<string, unknown>): { version?: number | undefined } => ({ version: numberOf(search["version"]) }),
  component: lazyRouteComponent(() => import("./history"), "HistorySection"),
});

export const settingsRoute = frameRoute.addChildren([
  first,
  bot,
  sentences,
  prompts,
  hours,
  company,
  team,
  manychat,
  audit,
  plan,
  usage,
  invoices,
  profile,
  history,
]);

export const settingsEntry: NavigationEntry = {
  to: "/settings",
  label: (texts) => texts.settings.title,
  icon: Settings,
};
