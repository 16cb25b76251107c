import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { Package } from "lucide-react";

import type { NavigationEntry } from "@/layout/navigation";
import { appRoute } from "@/routes";

import { parseProductsSearch } from "./search";

export const productsRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/products",
  validateSearch: parseProductsSearch,
  component: lazyRouteComponent(() => import("./page"), "ProductsPage"),
});

export const importProductsRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/products/import",
  component: lazyRouteComponent(() => import("./import-page"), "ImportProductsPage"),
});

export const productsEntry: NavigationEntry = {
  to: "/products",
  label: (texts) => texts.products.title,
  icon: Package,
  roles: ["owner"],
};
