import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { FileText } from "lucide-react";

import type { NavigationEntry } from "@/layout/navigation";
import { appRoute } from "@/routes";

export const documentsRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/documents",
  component: lazyRouteComponent(() => import("./page"), "DocumentsPage"),
});

export const documentsEntry: NavigationEntry = {
  to: "/documents",
  label: (texts) => texts.documents.title,
  icon: FileText,
};
