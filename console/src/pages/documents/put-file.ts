/** The upload of a file to the storage by a presigned request, with progress, a stall limit and retries. */
import { ApiError } from "@/api/errors";
import { retryDelay } from "@/api/queries";
import type { Schemas } from "@/api/client";

export type PresignedPut = Schemas["Put"];

const MAX_ATTEMPTS = 4;
/** An attempt without a byte of progress for so long is given up. */
const STALL_MS = 60_000;
/** The request's `If-None-Match: *` refuses a second file: an earlier attempt arrived, but its answer did not. */
const ARRIVED_BEFORE = 412;
/** Headers that the browser sets itself, and lets no script set. */
const BROWSER_HEADERS = new Set(["content-length", "host"]);

export interface PutOptions {
  onProgress: (sentBytes: number) => void;
  signal: AbortSignal;
  /** Waits between attempts; tests wait for nothing. */
  pause?: (ms: number, signal: AbortSignal) => Promise<void>;
  attempt?: (put: PresignedPut, file: Blob, options: PutOptions) => Promise<number>;
}

/** Uploads the file. Fails with an {@link ApiError}: `offline` without a connection, `upload_refused` by the storage. */
export async function putFile(put: PresignedPut, file: Blob, options: PutOptions): Promise<void> {
  const { signal, onProgress, pause = waitFor, attempt = attemptPut } = options;
  for (let attempts = 1; ; attempts += 1) {
    const status = await attempt(put, file, options);
    signal.throwIfAborted();
    if ((status >= 200 && status < 300) || status === ARRIVED_BEFORE) return;
    const error = new ApiError(status, status === 0 ? "offline" : "upload_refused", `the storage answered with ${status}`);
    const isWorthARetry = error.isTransient || status === 500 || status === 408;
    if (!isWorthARetry || attempts >= MAX_ATTEMPTS) throw error;
    onProgress(0);
    await pause(retryDelay(attempts - 1, error), signal);
  }
}

/** One attempt by XMLHttpRequest, as fetch tells nothing of the progress. Returns the status, 0 without an answer. */
function attemptPut(put: PresignedPut, file: Blob, { onProgress, signal }: PutOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    let stall = setTimeout(abort, STALL_MS);
    const end = (act: () => void) => () => {
      clearTimeout(stall);
      signal.removeEventListener("abort", abort);
      act();
    };
    request.upload.onprogress = (event) => {
      clearTimeout(stall);
      stall = setTimeout(abort, STALL_MS);
      onProgress(event.loaded);
    };
    request.onload = end(() => resolve(request.status));
    request.onerror = end(() => resolve(0));
    request.onabort = end(() => (signal.aborted ? reject(signal.reason as Error) : resolve(0)));
    signal.addEventListener("abort", abort);
    request.open(put.method, put.url);
    for (const [name, value] of Object.entries(put.headers)) {
      if (!BROWSER_HEADERS.has(name.toLowerCase())) request.setRequestHeader(name, value);
    }
    if (signal.aborted) end(() => reject(signal.reason as Error))();
    else request.send(file);
  });
}

export function waitFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal.addEventListener("abort", abort, { once: true });
  });
}
