import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { FileText } from "lucide-react";

import type { NavigationEntry } from "@/layout/navigation";
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
  validateSearch: ({ status, sort }: Record<string, unknown>): DocumentsSearch => {
    const knownStatus = STATUSES.find((known) => known === status);
    const knownSort = SORTS.find((known) => known === sort);
    return { ...(knownStatus && { status: knownStatus }), ...(knownSort && { sort: knownSort }) };
  },
  component: lazyRouteComponent(() => import("./page"), "DocumentsPage"),
});

export const documentsEntry: NavigationEntry = {
  to: "/documents",
  label: (texts) => texts.documents.title,
  icon: FileText,
};
