import { createRoute } from "@tanstack/react-router";
import { ShoppingBag } from "lucide-react";

import type { NavigationEntry } from "@/layout/navigation";
import { lazyPage } from "@/lib/lazy-page";
import { appRoute } from "@/routes";

import { type OrdersSearch, parseOrdersSearch } from "./search";

/** The list's part of the address, and the state of the order's page. */
export interface OrderSearch extends OrdersSearch {
  /** The order is being edited. */
  edit?: true | undefined;
}

export const ordersRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/orders",
  validateSearch: parseOrdersSearch,
  component: lazyPage(() => import("./page"), "OrdersPage", "orders"),
});

export const newOrderRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/orders/new",
  validateSearch: parseOrdersSearch,
  component: lazyPage(() => import("./create"), "NewOrderPage", "orders"),
});

export const orderRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/orders/$orderId",
  validateSearch: (raw: Record<string, unknown>): OrderSearch => ({
    ...parseOrdersSearch(raw),
    edit: raw["edit"] === true ? true : undefined,
  }),
  component: lazyPage(() => import("./order"), "OrderPage", "orders"),
});

export const ordersEntry: NavigationEntry = {
  to: "/orders",
  label: ({ navigation }) => navigation.orders,
  icon: ShoppingBag,
};
