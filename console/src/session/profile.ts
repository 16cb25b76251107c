import { queryOptions } from "@tanstack/react-query";

import { call, client } from "@/api/client";

/** The signed-in user, of `GET /profiles/me`: also for an administrator without a company. */
export const profileQuery = queryOptions({
  queryKey: ["profile"],
  queryFn: async ({ signal }) => (await call(client.GET("/api/v1/profiles/me", { signal }))).data,
});
