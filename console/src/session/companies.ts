/** The companies of the signed-in user, for the choice between them. */
import { queryOptions } from "@tanstack/react-query";

import { call, client, type Schemas } from "@/api/client";

export type OwnProfile = Schemas["OwnProfile"];

/** The user's profile, with its companies, the oldest membership first. */
export const ownProfileQuery = queryOptions({
  queryKey: ["profile"],
  queryFn: async ({ signal }): Promise<OwnProfile> => (await call(client.GET("/api/v1/profiles/me", { signal }))).data,
  staleTime: 300_000,
});
