import { queryOptions } from "@tanstack/react-query";

import { call, client, type Schemas } from "@/api/client";

/** The profile with what the API is about to add to it. */
export type OwnProfile = Schemas["Profile"] & {
  /** True for an administrator of the installation. */
  is_administrator?: boolean;
};

/** The signed-in user, of `GET /profiles/me`: also for an administrator without a company. */
export const profileQuery = queryOptions({
  queryKey: ["profile"],
  queryFn: async ({ signal }): Promise<OwnProfile> => (await call(client.GET("/api/v1/profiles/me", { signal }))).data,
});
