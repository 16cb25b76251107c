import { createRoute } from "@tanstack/react-router";
import { Settings } from "lucide-react";

import type { NavigationEntry } from "@/layout/navigation";
import { lazyPage } from "@/lib/lazy-page";
import { oneOf, pageOf } from "@/lib/search";
import { appRoute } from "@/routes";

import type { DeliveriesSearch } from "./webhook-queries";
import { DELIVERY_STATUSES } from "./webhook-values";

const frameRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/settings",
  component: lazyPage(() => import("./page"), "SettingsPage", "settings"),
});

// Each route is a constant of its own: inside of the array of children, its types would be lost.
const parent = () => frameRoute;
const first = createRoute({ getParentRoute: parent, path: "/", component: lazyPage(() => import("./page"), "FirstSection", "settings") });
const bot = createRoute({ getParentRoute: parent, path: "bot", component: lazyPage(() => import("./bot"), "BotSection", "settings") });
const sentences = createRoute({
  getParentRoute: parent,
  path: "sentences",
  component: lazyPage(() => import("./sentences"), "SentencesSection", "settings"),
});
const prompts = createRoute({
  getParentRoute: parent,
  path: "prompts",
  component: lazyPage(() => import("./prompts"), "PromptsSection", "settings"),
});
const hours = createRoute({
  getParentRoute: parent,
  path: "hours",
  component: lazyPage(() => import("./hours"), "HoursSection", "settings"),
});
const company = createRoute({
  getParentRoute: parent,
  path: "company",
  component: lazyPage(() => import("./company"), "CompanySection", "settings"),
});
const team = createRoute({ getParentRoute: parent, path: "team", component: lazyPage(() => import("./team"), "TeamSection", "settings", "auth") });
const manychat = createRoute({
  getParentRoute: parent,
  path: "manychat",
  component: lazyPage(() => import("./manychat"), "ManychatSection", "settings", "manychat"),
});
const webhooks = createRoute({
  getParentRoute: parent,
  path: "webhooks",
  component: lazyPage(() => import("./webhooks"), "WebhooksSection", "settings", "webhooks"),
});
const webhook = createRoute({
  getParentRoute: parent,
  path: "webhooks/$endpoint",
  validateSearch: ({ status, page }: Record<string, unknown>): DeliveriesSearch => ({
    status: oneOf(status, DELIVERY_STATUSES),
    page: pageOf(page),
  }),
  component: lazyPage(() => import("./webhook"), "WebhookSection", "settings", "webhooks"),
});
const privacy = createRoute({
  getParentRoute: parent,
  path: "privacy",
  component: lazyPage(() => import("./privacy"), "PrivacySection", "privacy", "settings"),
});
const audit = createRoute({
  getParentRoute: parent,
  path: "audit",
  component: lazyPage(() => import("./audit"), "AuditSection", "settings"),
});
/** Stripe's payment page leads back here, with its outcome. */
const plan = createRoute({
  getParentRoute: parent,
  path: "plan",
  validateSearch: ({ checkout }: Record<string, unknown>): { checkout?: "success" | "cancelled" | undefined } => ({
    checkout: checkout === "success" || checkout === "cancelled" ? checkout : undefined,
  }),
  component: lazyPage(() => import("./plan"), "PlanSection", "settings"),
});
const usage = createRoute({
  getParentRoute: parent,
  path: "usage",
  component: lazyPage(() => import("./usage"), "UsageSection", "settings"),
});
const invoices = createRoute({
  getParentRoute: parent,
  path: "invoices",
  component: lazyPage(() => import("./invoices"), "InvoicesSection", "settings"),
});
const profile = createRoute({
  getParentRoute: parent,
  path: "profile",
  component: lazyPage(() => import("./profile"), "ProfileSection", "settings", "auth"),
});

/** A number of the address, such as the id of a version. */
const numberOf = (value: unknown): number | undefined => (Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : undefined);

const history = createRoute({
  getParentRoute: parent,
  path: "history",
  validateSearch: (search: Record<string, unknown>): { version?: number | undefined } => ({ version: numberOf(search["version"]) }),
  component: lazyPage(() => import("./history"), "HistorySection", "settings"),
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
  webhooks,
  webhook,
  privacy,
  audit,
  plan,
  usage,
  invoices,
  profile,
  history,
]);

export const settingsEntry: NavigationEntry = {
  to: "/settings",
  label: ({ navigation }) => navigation.settings,
  icon: Settings,
};
