import { createRoute, redirect } from "@tanstack/react-router";

import { lazyPage } from "@/lib/lazy-page";
import { requireSession, rootRoute } from "@/routes";

const STATUSES = ["active", "suspended", "deleted"] as const;
export type CompanyStatus = (typeof STATUSES)[number];

interface CompaniesSearch {
  search?: string | undefined;
  status?: CompanyStatus | undefined;
}

/** The frame of the administrators' pages, apart from the companies' one: an administrator may belong to no company. */
const frameRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/admin",
  beforeLoad: ({ location }) => requireSession(location.href),
  component: lazyPage(() => import("./page"), "AdminFrame", "admin"),
});

const parent = () => frameRoute;

const first = createRoute({
  getParentRoute: parent,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/admin/companies", replace: true });
  },
});

const companies = createRoute({
  getParentRoute: parent,
  path: "companies",
  validateSearch: (search: Record<string, unknown>): CompaniesSearch => ({
    search: searchOf(search["search"]),
    status: STATUSES.find((known) => known === search["status"]),
  }),
  component: lazyPage(() => import("./companies"), "CompaniesPage", "admin", "settings"),
});

const company = createRoute({
  getParentRoute: parent,
  path: "companies/$id",
  component: lazyPage(() => import("./company"), "CompanyPage", "admin", "settings"),
});

const subscriptions = createRoute({
  getParentRoute: parent,
  path: "subscriptions",
  component: lazyPage(() => import("./subscriptions"), "SubscriptionsPage", "admin", "settings"),
});

const plans = createRoute({ getParentRoute: parent, path: "plans", component: lazyPage(() => import("./plans"), "PlansPage", "admin", "settings") });

const passwordReset = createRoute({
  getParentRoute: parent,
  path: "password-reset",
  component: lazyPage(() => import("./password-reset"), "ResetPage", "admin", "auth", "settings"),
});

export const adminRoute = frameRoute.addChildren([first, companies, company, subscriptions, plans, passwordReset]);

/** A search of digits only comes from the address as a number. */
function searchOf(value: unknown): string | undefined {
  const text = typeof value === "number" ? String(value) : value;
  return typeof text === "string" && text.trim() !== "" ? text.trim().slice(0, 200) : undefined;
}
