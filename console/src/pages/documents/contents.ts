/** A document's file and the text that was read from its pages. */
import { queryOptions } from "@tanstack/react-query";

import { call, client, type Schemas } from "@/api/client";

export type PageText = Schemas["PageText"];

/** Asks for a link to the file. It needs no token, so it is asked for when it is used, and kept nowhere. */
export async function fileLink(id: string, signal: AbortSignal | null = null): Promise<string> {
  return (await call(client.GET("/api/v1/documents/{id}/file", { params: { path: { id } }, signal }))).data.url;
}

export const pageTextQuery = (id: string, page: number) =>
  queryOptions({
    queryKey: ["documents", "text", id, page],
    queryFn: async ({ signal }) =>
      (await call(client.GET("/api/v1/documents/{id}/pages/{page}", { params: { path: { id, page } }, signal }))).data,
  });
