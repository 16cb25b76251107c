import type { paths } from "@/api/schema";

import type { Filter } from "./route";

/** Parameters of the list of conversations. */
export type ConversationsQuery = NonNullable<paths["/api/v1/conversations"]["get"]["parameters"]["query"]>;

/** What the API is asked for by each filter. Those that wait are chosen from those with a person. */
export function queryOfFilter(filter: Filter | undefined, search: string | undefined): ConversationsQuery {
  return {
    ...(search !== undefined && { search }),
    ...((filter === "human" || filter === "waiting") && { status: "human" as const }),
    ...(filter === "unanswered" && { unanswered: true }),
  };
}
