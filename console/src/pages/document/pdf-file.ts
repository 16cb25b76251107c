/** The bytes of a PDF, fetched from the bucket by a link that is asked for each time. */
import { queryOptions } from "@tanstack/react-query";

import { ApiError } from "@/api/errors";
import { createStore, useStore } from "@/lib/store";
import { fileLink } from "@/pages/documents/contents";

/** A file of up to 20 MiB is kept for a minute after its page was left. */
const KEPT_MS = 60_000;
const progress = createStore<Readonly<Record<string, number>>>({});

/** The received bytes of a file that is being fetched. */
export function useDownloadProgress(id: string): number {
  return useStore(progress)[id] ?? 0;
}

export const pdfQuery = (id: string) =>
  queryOptions({
    // Not below "documents": a change of the document's state leaves its file as it is.
    queryKey: ["document-file", id],
    queryFn: async ({ signal }) => download(id, await fileLink(id, signal), signal),
    staleTime: Infinity,
    gcTime: KEPT_MS,
  });

async function download(id: string, url: string, signal: AbortSignal): Promise<ArrayBuffer> {
  const response = await get(url, signal);
  if (!response.ok || response.body === null) throw new ApiError(response.status, "unreadable", "the storage did not send the file");
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let received = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    received += value.length;
    progress.set({ ...progress.get(), [id]: received });
  }
  progress.set(Object.fromEntries(Object.entries(progress.get()).filter(([other]) => other !== id)));
  return new Blob(parts).arrayBuffer();
}

async function get(url: string, signal: AbortSignal): Promise<Response> {
  try {
    // eslint-disable-next-line no-restricted-globals -- The bucket, which must not get the token of the API.
    return await fetch(url, { signal, credentials: "omit", referrerPolicy: "no-referrer" });
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new ApiError(0, "offline", "the storage was not reached", { cause });
  }
}
