import type { paths } from "@/api/schema";

import type { Filter } from "./route";

/** Parameters of the list of conversations. */
export type ConversationsQuery = NonNullable<paths["/api/v1/conversations"]["get"]["parameters"]["query"]>;

/** Returns the query of a filter for the API. */
export function queryOfFilter(filter: Filter | undefined, search: string | undefined): ConversationsQuery {
  return {
    ...(search !== undefined && { search }),
    ...(filter === "human" && { status: "human" as const }),
    ...(filter === "waiting" && { waiting: true }),
    ...(filter === "unanswered" && { unanswered: true }),
  };
}
