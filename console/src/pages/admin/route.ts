import { createRoute, lazyRouteComponent, redirect } from "@tanstack/react-router";

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
  component: lazyRouteComponent(() => import("./page"), "AdminFrame"),
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
  component: lazyRouteComponent(() => import("./companies"), "CompaniesPage"),
});

const company = createRoute({
  getParentRoute: parent,
  path: "companies/$id",
  component: lazyRouteComponent(() => import("./company"), "CompanyPage"),
});

const subscriptions = createRoute({
  getParentRoute: parent,
  path: "subscriptions",
  component: lazyRouteComponent(() => import("./subscriptions"), "SubscriptionsPage"),
});

const plans = createRoute({ getParentRoute: parent, path: "plans", component: lazyRouteComponent(() => import("./plans"), "PlansPage") });

const passwordReset = createRoute({
  getParentRoute: parent,
  path: "password-reset",
  component: lazyRouteComponent(() => import("./password-reset"), "ResetPage"),
});

export const adminRoute = frameRoute.addChildren([first, companies, company, subscriptions, plans, passwordReset]);

/** A search of digits only comes from the address as a number. */
function searchOf(value: unknown): string | undefined {
  const text = typeof value === "number" ? String(value) : value;
  return typeof text === "string" && text.trim() !== "" ? text.trim().slice(0, 200) : undefined;
}
