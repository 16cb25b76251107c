/** The uploads of this tab. They go on while other pages are shown, two at a time, each for the company that it was begun for. */
import { call, callEmpty, client, type Schemas, send } from "@/api/client";
import { ApiError } from "@/api/errors";
import { queryClient, retryDelay } from "@/api/queries";
import { session } from "@/api/session";
import { createStore } from "@/lib/store";

import { type Refusal, refusalOf } from "./formats";
import { putFile, waitFor } from "./put-file";

type Upload = Schemas["Upload"];
export type SameName = Schemas["SameName"];

export type UploadState = "waiting" | "preparing" | "sending" | "sent" | "known" | "refused" | "failed" | "cancelled";

export interface UploadTask {
  id: number;
  file: File;
  /** The document that a new version replaces. */
  replaces: { id: string; filename: string } | null;
  state: UploadState;
  /** Sent bytes; null where the browser tells nothing of the progress. */
  sentBytes: number | null;
  refusal: Refusal | null;
  error: unknown;
  documentId: string | null;
  /** Older documents with this name. */
  sameName: readonly SameName[];
}

const MAX_PARALLEL = 2;
const MAX_ATTEMPTS = 4;
/** Larger files are announced and go to the storage, with progress; smaller ones are sent in one request. */
const MAX_FORM_BYTES = 1024 * 1024;

export const uploads = createStore<readonly UploadTask[]>([]);
const stops = new Map<number, AbortController>();
let lastId = 0;

const isActive = ({ state }: UploadTask) => state === "waiting" || state === "preparing" || state === "sending";
export const isEnded = (task: UploadTask) => !isActive(task);

/** Adds files in their order. Files that are not taken are shown with the reason. */
export function addUploads(files: readonly File[], replaces: UploadTask["replaces"] = null): void {
  const added = files.map((file): UploadTask => {
    lastId += 1;
    return {
      id: lastId,
      file,
      replaces,
      state: "waiting",
      sentBytes: null,
      refusal: null,
      error: null,
      documentId: null,
      sameName: [],
    };
  });
  uploads.set([...uploads.get(), ...added]);
  startNext();
}

/** Stops an upload. A document that was announced for it is deleted. */
export function cancelUpload(id: number): void {
  const task = find(id);
  if (task === undefined || isEnded(task)) return;
  stops.get(id)?.abort();
  change(id, { state: "cancelled" });
  if (task.documentId !== null) void discard(task.documentId);
  startNext();
}

export function retryUpload(id: number): void {
  const task = find(id);
  if (task?.state !== "failed" && task?.state !== "cancelled") return;
  change(id, { state: "waiting", error: null, sentBytes: null, documentId: null });
  startNext();
}

export function dismissUpload(id: number): void {
  uploads.set(uploads.get().filter((task) => task.id !== id || isActive(task)));
}

/** Takes what needs no attention any more from the list. */
export function dismissSent(): void {
  uploads.set(uploads.get().filter(isActive));
}

/** Notes that the question about an older document of this name was answered. */
export function settleSameName(id: number): void {
  change(id, { sameName: [] });
}

function find(id: number): UploadTask | undefined {
  return uploads.get().find((task) => task.id === id);
}

function change(id: number, part: Partial<UploadTask>): void {
  uploads.set(uploads.get().map((task) => (task.id === id ? { ...task, ...part } : task)));
}

function startNext(): void {
  const running = uploads.get().filter(({ state }) => state === "preparing" || state === "sending").length;
  const waiting = uploads.get().filter(({ state }) => state === "waiting");
  for (const task of waiting.slice(0, Math.max(MAX_PARALLEL - running, 0))) void run(task);
}

async function run(task: UploadTask): Promise<void> {
  const stop = new AbortController();
  stops.set(task.id, stop);
  change(task.id, { state: "preparing" });
  try {
    const refusal = await refusalOf(task.file);
    stop.signal.throwIfAborted();
    if (refusal !== null) {
      change(task.id, { state: "refused", refusal });
    } else {
      const { document, same_name, isKnown } = await deliver(task, stop.signal);
      change(task.id, { state: isKnown ? "known" : "sent", documentId: document.id, sameName: same_name });
      void queryClient.invalidateQueries({ queryKey: ["documents"] });
    }
  } catch (error) {
    if (!stop.signal.aborted) change(task.id, { state: "failed", error });
  }
  stops.delete(task.id);
  startNext();
}

type Delivered = Upload & { isKnown: boolean };

function deliver(task: UploadTask, signal: AbortSignal): Promise<Delivered> {
  return task.file.size <= MAX_FORM_BYTES ? sendForm(task, signal) : sendToStorage(task, signal);
}

async function sendForm({ id, file, replaces }: UploadTask, signal: AbortSignal): Promise<Delivered> {
  change(id, { state: "sending" });
  const sent = await withRetries(signal, async () => {
    const body = new FormData();
    body.set("file", file);
    if (replaces !== null) body.set("replaces", replaces.id);
    const url = `${window.location.origin}/api/v1/documents/upload`;
    const response = await send(new Request(url, { method: "POST", body }));
    const { data } = (await response.json()) as { data: Upload };
    return { ...data, isKnown: response.status === 200 };
  });
  // A version that replaces another one may have done so by now; then the cancellation came too late.
  if (signal.aborted && replaces === null) await takeBack(sent, signal);
  return sent;
}

async function sendToStorage({ id, file, replaces }: UploadTask, signal: AbortSignal): Promise<Delivered> {
  const sha256 = await sha256Of(file);
  signal.throwIfAborted();
  const body = { filename: file.name, size_bytes: file.size, ...(sha256 && { sha256 }), ...(replaces && { replaces: replaces.id }) };
  const { data } = await withRetries(signal, () => call(client.POST("/api/v1/documents/upload", { body })));
  await takeBack({ ...data, isKnown: !data.upload }, signal);
  if (!data.upload) return { ...data, isKnown: true };
  change(id, { state: "sending", sentBytes: 0, documentId: data.document.id });
  try {
    await putFile(data.upload, file, { signal, onProgress: (sentBytes) => change(id, { sentBytes }) });
  } catch (error) {
    // Without its file the document would wait for nothing; a retry announces a new one.
    if (!signal.aborted) void discard(data.document.id);
    throw error;
  }
  return { ...data, isKnown: false };
}

/**
 * Deletes the document of an upload that was cancelled meanwhile. The request itself is never cut off: nobody would know
 * whether the server has the document. One that was there before stays.
 */
async function takeBack({ document, isKnown }: Delivered, signal: AbortSignal): Promise<void> {
  if (signal.aborted && !isKnown) await discard(document.id);
  signal.throwIfAborted();
}

/** Repeats a call that the server did not begin: it was busy. After a lost answer nobody knows, so that is not repeated. */
async function withRetries<T>(signal: AbortSignal, request: () => Promise<T>): Promise<T> {
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await request();
    } catch (error) {
      const isBusy = error instanceof ApiError && (error.status === 429 || error.status === 503);
      if (!isBusy || attempts >= MAX_ATTEMPTS) throw error;
      await waitFor(retryDelay(attempts - 1, error), signal);
    }
  }
}

/** The hash by which the server knows a file that it has; absent outside of HTTPS, where browsers do not compute it. */
async function sha256Of(file: File): Promise<string | null> {
  const subtle = (crypto as { subtle?: SubtleCrypto }).subtle;
  if (subtle === undefined) return null;
  const hash = new Uint8Array(await subtle.digest("SHA-256", await file.arrayBuffer()));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Deletes a document whose file never arrived. Maintenance does so later where this fails. */
async function discard(id: string): Promise<void> {
  try {
    await callEmpty(client.DELETE("/api/v1/documents/{id}", { params: { path: { id } } }));
    await queryClient.invalidateQueries({ queryKey: ["documents"] });
  } catch {
    // The document is listed as not uploaded, with a button to delete it.
  }
}

let companyBefore = companyOfSession();
session.subscribe(() => {
  const company = companyOfSession();
  if (company === companyBefore) return;
  companyBefore = company;
  // A file that was chosen for one company must not reach another one.
  for (const stop of stops.values()) stop.abort();
  uploads.set([]);
});

function companyOfSession(): string {
  const state = session.get();
  return state.status === "signed-in" ? `${state.userId} ${state.companyId ?? ""}` : "";
}

window.addEventListener("beforeunload", (event) => {
  if (uploads.get().some(isActive)) event.preventDefault();
});
