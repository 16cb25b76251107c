import { queryOptions } from "@tanstack/react-query";

import { call, client } from "@/api/client";

/** The number of conversations that wait for a person. The API counts up to 99. */
export const waitingQuery = queryOptions({
  queryKey: ["waiting"],
  queryFn: async ({ signal }) => (await call(client.GET("/api/v1/conversations/waiting-count", { signal }))).data,
});
