import { createRoute } from "@tanstack/react-router";
import { Package } from "lucide-react";

import type { NavigationEntry } from "@/layout/navigation";
import { lazyPage } from "@/lib/lazy-page";
import { appRoute } from "@/routes";

import { parseProductsSearch } from "./search";

export const productsRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/products",
  validateSearch: parseProductsSearch,
  component: lazyPage(() => import("./page"), "ProductsPage", "products"),
});

export const importProductsRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/products/import",
  component: lazyPage(() => import("./import-page"), "ImportProductsPage", "products"),
});

export const productsEntry: NavigationEntry = {
  to: "/products",
  label: ({ navigation }) => navigation.products,
  icon: Package,
  roles: ["owner"],
};
