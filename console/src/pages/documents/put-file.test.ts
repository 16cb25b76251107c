import { expect, it, vi } from "vitest";

vi.mock("@/api/queries", () => ({ retryDelay: (attempt: number) => 1000 * 2 ** attempt }));

import { ApiError } from "@/api/errors";

import { putFile } from "./put-file";

const PUT = { method: "PUT", url: "https://bucket.example/x", headers: {}, expires_at: "2026-11-29T10:00:00Z" };

async function put(statuses: number[], stop = new AbortController()) {
  const waited: number[] = [];
  const left = [...statuses];
  const attempt = () => Promise.resolve(left.shift() ?? 200);
  const pause = (ms: number) => {
    waited.push(ms);
    return Promise.resolve();
  };
  const end = await putFile(PUT, new Blob(["x"]), { onProgress: () => undefined, signal: stop.signal, pause, attempt }).then(
    () => "sent",
    (error: unknown) => (error instanceof ApiError ? error.code : (error as Error).name),
  );
  return { end, waited, unused: left.length };
}

it("a file that arrives at once waits for nothing", async () => {
  expect(await put([200])).toEqual({ end: "sent", waited: [], unused: 0 });
});

it("a lost connection and a busy storage are tried again, with growing pauses", async () => {
  expect(await put([0, 503, 200])).toEqual({ end: "sent", waited: [1000, 2000], unused: 0 });
});

it("after four attempts the upload fails", async () => {
  expect(await put([0, 0, 0, 0, 200])).toEqual({ end: "offline", waited: [1000, 2000, 4000], unused: 1 });
});

it("a refusal is not repeated", async () => {
  expect(await put([403, 200])).toEqual({ end: "upload_refused", waited: [], unused: 1 });
});

it("a file that arrived although its answer was lost is sent", async () => {
  expect(await put([0, 412])).toEqual({ end: "sent", waited: [1000], unused: 0 });
});

it("a cancelled upload ends as cancelled", async () => {
  const stop = new AbortController();
  stop.abort();
  expect(await put([200], stop)).toEqual({ end: "AbortError", waited: [], unused: 0 });
});
