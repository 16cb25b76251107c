import { createRoute } from "@tanstack/react-router";
import { FileText } from "lucide-react";

import type { NavigationEntry } from "@/layout/navigation";
import { lazyPage } from "@/lib/lazy-page";
import { appRoute } from "@/routes";

import type { DocumentSort, DocumentStatus } from "./queries";

interface DocumentsSearch {
  status?: DocumentStatus;
  sort?: DocumentSort;
}

const STATUSES: readonly DocumentStatus[] = ["pending", "processed", "failed"];
const SORTS: readonly DocumentSort[] = ["-upload_date", "filename"];

export const documentsRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/documents",
  // Invalid values are returned as undefined: the router would keep a parameter that the result does not name.
  validateSearch: ({ status, sort }: Record<string, unknown>): DocumentsSearch => ({
    status: STATUSES.find((known) => known === status),
    sort: SORTS.find((known) => known === sort),
  }),
  component: lazyPage(() => import("./page"), "DocumentsPage", "documents"),
});

export const documentsEntry: NavigationEntry = {
  to: "/documents",
  label: ({ navigation }) => navigation.documents,
  icon: FileText,
};
