import { dayOf, defined, oneOf, pageOf } from "@/lib/search";

import { ALL_TYPES, type ActivityType, STATUSES } from "./types";

/** What the address says of the list of activities. */
export interface ActivitiesSearch {
  type?: ActivityType;
  status?: (typeof STATUSES)[number];
  /** A day in the company's timezone. */
  since?: string;
  page?: number;
}

export function parseActivitiesSearch(raw: Record<string, unknown>): ActivitiesSearch {
  return defined({
    type: oneOf(raw["type"], ALL_TYPES),
    status: oneOf(raw["status"], STATUSES),
    since: dayOf(raw["since"]),
    page: pageOf(raw["page"]),
  });
}
