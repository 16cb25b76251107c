import { dayOf, defined, oneOf, pageOf } from "@/lib/search";

import { ALL_TYPES, type ActivityType, STATUSES } from "./types";

/** Search parameters of the list of activities. */
export interface ActivitiesSearch {
  type?: ActivityType | undefined;
  status?: (typeof STATUSES)[number] | undefined;
  /** A day in the company's timezone. */
  since?: string | undefined;
  page?: number | undefined;
}

/** Reads the search parameters. Invalid ones are undefined by name: the router would pass on a parameter that is not named. */
export function parseActivitiesSearch(raw: Record<string, unknown>): ActivitiesSearch {
  return {
    type: oneOf(raw["type"], ALL_TYPES),
    status: oneOf(raw["status"], STATUSES),
    since: dayOf(raw["since"]),
    page: pageOf(raw["page"]),
  };
}

/** The filters in force, and nothing else that stands in the address. */
export const filtersOf = (search: ActivitiesSearch) => defined(parseActivitiesSearch({ ...search }));
