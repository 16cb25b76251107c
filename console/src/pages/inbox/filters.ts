import type { paths } from "@/api/schema";

import type { Filter } from "./route";

/** Parameters of the list of conversations. */
export type ConversationsQuery = NonNullable<paths["/api/v1/conversations"]["get"]["parameters"]["query"]>;

/** Returns the query of a filter for the API. The filter `waiting` queries conversations with a person, and the list chooses. */
export function queryOfFilter(filter: Filter | undefined, search: string | undefined): ConversationsQuery {
  return {
    ...(search !== undefined && { search }),
    ...((filter === "human" || filter === "waiting") && { status: "human" as const }),
    ...(filter === "unanswered" && { unanswered: true }),
  };
}
