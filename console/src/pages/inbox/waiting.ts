import { queryOptions } from "@tanstack/react-query";

import { call, client } from "@/api/client";

import { waitsForPerson } from "./holder";

/** The API has no filter for what waits, so the newest conversations with a person are counted here. */
const MAX_COUNTED = 100;

/** The number of conversations that wait for a person, at most a hundred. */
export const waitingQuery = queryOptions({
  queryKey: ["waiting"],
  queryFn: async ({ signal }) => {
    const query = { status: "human" as const, limit: MAX_COUNTED };
    return (await call(client.GET("/api/v1/conversations", { params: { query }, signal }))).data.filter(waitsForPerson).length;
  },
});
