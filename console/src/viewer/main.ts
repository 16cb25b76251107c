/**
 * Draws one page of a PDF in the sandboxed frame. The frame's origin is opaque: a module script or a worker would need CORS
 * and a URL of the frame's own origin, so this is one classic script, and pdf.js parses in the frame's own process.
 */
import { getDocument, type PDFDocumentProxy, type RenderTask, VerbosityLevel } from "pdfjs-dist";
// @ts-expect-error -- pdf.js has no types for its worker, which is run here as a plain module.
import { WorkerMessageHandler } from "pdfjs-dist/build/pdf.worker.mjs";

import type { FromViewer, ResourceKind, ToViewer } from "./messages";

/** Most pixels of a drawn page: iPhones refuse a canvas of more than 16.7 million. */
const MAX_PIXELS = 16_000_000;
const PADDING_PX = 24;

const canvas = document.querySelector<HTMLCanvasElement>("#page");
let pdf: PDFDocumentProxy | null = null;
let wanted: { page: number; scale: number; label: string } | null = null;
let drawing: RenderTask | null = null;
let lastId = 0;
const awaited = new Map<number, (bytes: ArrayBuffer | null) => void>();

(globalThis as { pdfjsWorker?: unknown }).pdfjsWorker = { WorkerMessageHandler: WorkerMessageHandler as unknown };

function tell(message: FromViewer): void {
  // The frame does not know its parent's origin, and sends it nothing but numbers and names of pdf.js's files.
  window.parent.postMessage(message, "*");
}

/** Asks the console for a file of pdf.js, as the frame may not load any. */
class ConsoleDataFactory {
  async fetch({ kind, filename }: { kind: ResourceKind; filename: string }): Promise<Uint8Array> {
    lastId += 1;
    const id = lastId;
    const bytes = await new Promise<ArrayBuffer | null>((resolve) => {
      awaited.set(id, resolve);
      tell({ type: "need", id, kind, filename });
    });
    if (bytes === null) throw new Error(`${filename} is not there`);
    return new Uint8Array(bytes);
  }
}

async function open(bytes: ArrayBuffer): Promise<void> {
  try {
    pdf = await getDocument({
      data: new Uint8Array(bytes),
      BinaryDataFactory: ConsoleDataFactory,
      useWorkerFetch: false,
      cMapUrl: "cmaps/",
      cMapPacked: true,
      standardFontDataUrl: "standard_fonts/",
      wasmUrl: "wasm/",
      // The browser would look for the fonts of the system, and for others in the network.
      useSystemFonts: false,
      isEvalSupported: false,
      verbosity: VerbosityLevel.ERRORS,
      enableXfa: false,
      disableAutoFetch: true,
    }).promise;
    tell({ type: "opened", pages: pdf.numPages });
    await draw();
  } catch (error) {
    tell({ type: "failed", reason: (error as Error).name === "PasswordException" ? "password" : "damaged" });
  }
}

/** Draws the wanted page. A newer wish ends an older drawing. */
async function draw(): Promise<void> {
  if (pdf === null || wanted === null || canvas === null) return;
  const { page: number, scale, label } = wanted;
  drawing?.cancel();
  const page = await pdf.getPage(Math.min(Math.max(number, 1), pdf.numPages));
  if (wanted.page !== number || wanted.scale !== scale) return;
  const width = Math.max(document.documentElement.clientWidth - PADDING_PX, 100);
  const unscaled = page.getViewport({ scale: 1 });
  const fit = (width / unscaled.width) * scale;
  const shown = page.getViewport({ scale: fit });
  const density = Math.min(window.devicePixelRatio || 1, Math.sqrt(MAX_PIXELS / (shown.width * shown.height)));
  const viewport = page.getViewport({ scale: fit * density });
  // Drawn apart and put in place at once, so that no half page is seen.
  const sheet = document.createElement("canvas");
  sheet.width = Math.floor(viewport.width);
  sheet.height = Math.floor(viewport.height);
  const task = page.render({ canvas: sheet, viewport });
  drawing = task;
  try {
    await task.promise;
  } catch (error) {
    if (drawing !== task || (error as Error).name === "RenderingCancelledException") return;
    throw error;
  }
  canvas.width = sheet.width;
  canvas.height = sheet.height;
  canvas.style.width = `${Math.floor(shown.width)}px`;
  canvas.style.height = `${Math.floor(shown.height)}px`;
  canvas.getContext("2d")?.drawImage(sheet, 0, 0);
  canvas.setAttribute("aria-label", label);
  tell({ type: "shown", page: number });
}

function redraw(): void {
  draw().catch(() => tell({ type: "failed", reason: "damaged" }));
}

window.addEventListener("message", (event: MessageEvent<ToViewer>) => {
  if (event.source !== window.parent) return;
  const message = event.data;
  switch (message.type) {
    case "open":
      void open(message.bytes);
      break;
    case "show": {
      const hasTurned = wanted?.page !== message.page;
      wanted = message;
      if (hasTurned) window.scrollTo(0, 0);
      redraw();
      break;
    }
    case "resource":
      awaited.get(message.id)?.(message.bytes);
      awaited.delete(message.id);
      break;
  }
});
window.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  if (event.key === "ArrowRight") tell({ type: "turn", by: 1 });
  if (event.key === "ArrowLeft") tell({ type: "turn", by: -1 });
});
let width = document.documentElement.clientWidth;
window.addEventListener("resize", () => {
  if (document.documentElement.clientWidth === width) return;
  width = document.documentElement.clientWidth;
  redraw();
});
tell({ type: "ready" });
