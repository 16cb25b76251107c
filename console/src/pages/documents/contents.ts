/** A document's file and the text that was read from its pages. */
import { queryOptions } from "@tanstack/react-query";

import { send } from "@/api/client";

/** Answer of `GET /documents/{id}/file`: a link to the bucket that is valid for some minutes. */
interface FileLink {
  url: string;
  expires_at: string;
}

/** Answer of `GET /documents/{id}/pages/{page}`. */
export interface PageText {
  page: number;
  reader: "file" | "ocr" | "model";
  confidence: number | null;
  is_complete: boolean;
  passages: string[];
}

async function get<T>(path: string, signal: AbortSignal): Promise<T> {
  const response = await send(new Request(`${window.location.origin}/api/v1/documents/${path}`, { signal }));
  return ((await response.json()) as { data: T }).data;
}

/** Asks for a link to the file. It needs no token, so it is asked for when it is used, and kept nowhere. */
export async function fileLink(id: string, signal: AbortSignal = new AbortController().signal): Promise<string> {
  return (await get<FileLink>(`${encodeURIComponent(id)}/file`, signal)).url;
}

export const pageTextQuery = (id: string, page: number) =>
  queryOptions({
    queryKey: ["documents", "text", id, page],
    queryFn: ({ signal }) => get<PageText>(`${encodeURIComponent(id)}/pages/${page}`, signal),
  });
