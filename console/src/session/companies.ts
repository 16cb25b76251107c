/** The companies of the signed-in user, for the choice between them. */
import { queryOptions } from "@tanstack/react-query";

import { call, client, type Schemas } from "@/api/client";

/** A company that the user may open. */
export interface OwnCompany {
  id: string;
  name: string;
  /** `owner` or `support`. */
  role: string;
  /** `active`, `suspended` or `deleted`. */
  status: string;
}

type OwnProfile = Schemas["Profile"] & { companies?: OwnCompany[]; is_administrator?: boolean };

/** The user's profile, with its companies, the oldest membership first. */
export const ownProfileQuery = queryOptions({
  queryKey: ["profile"],
  queryFn: async ({ signal }): Promise<OwnProfile> => (await call(client.GET("/api/v1/profiles/me", { signal }))).data,
  staleTime: 300_000,
});
