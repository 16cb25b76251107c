/** Messages between the console and the sandboxed frame that draws a PDF. The frame has no network and no storage. */

/** Files of pdf.js that a PDF may need: character maps, the 14 standard fonts, decoders of scanned pages. */
export const RESOURCE_KINDS = ["cMapUrl", "standardFontDataUrl", "wasmUrl"] as const;
export type ResourceKind = (typeof RESOURCE_KINDS)[number];

export type ToViewer =
  | { type: "open"; bytes: ArrayBuffer }
  /** `scale` 1 fits the page to the frame's width. */
  | { type: "show"; page: number; scale: number; label: string }
  | { type: "resource"; id: number; bytes: ArrayBuffer | null };

export type ViewerFailure = "password" | "damaged";

export type FromViewer =
  | { type: "ready" }
  | { type: "opened"; pages: number }
  | { type: "shown"; page: number }
  | { type: "failed"; reason: ViewerFailure }
  | { type: "need"; id: number; kind: ResourceKind; filename: string }
  /** A key for the next or the previous page, pressed inside of the frame. */
  | { type: "turn"; by: 1 | -1 };

const FAILURES: readonly unknown[] = ["password", "damaged"] satisfies ViewerFailure[];

/** Reads a message of the frame. A stranger's file may have taken the frame over, so nothing in it is believed. */
export function readFromViewer(data: unknown): FromViewer | null {
  if (typeof data !== "object" || data === null) return null;
  const message = data as Record<string, unknown>;
  switch (message["type"]) {
    case "ready":
      return { type: "ready" };
    case "opened":
      return isPage(message["pages"]) ? { type: "opened", pages: message["pages"] } : null;
    case "shown":
      return isPage(message["page"]) ? { type: "shown", page: message["page"] } : null;
    case "failed":
      return FAILURES.includes(message["reason"]) ? { type: "failed", reason: message["reason"] as ViewerFailure } : null;
    case "turn":
      return message["by"] === 1 || message["by"] === -1 ? { type: "turn", by: message["by"] } : null;
    case "need":
      return readNeed(message);
    default:
      return null;
  }
}

function readNeed({ id, kind, filename }: Record<string, unknown>): FromViewer | null {
  const isKnown = (RESOURCE_KINDS as readonly unknown[]).includes(kind);
  if (!isKnown || typeof id !== "number" || typeof filename !== "string") return null;
  return { type: "need", id, kind: kind as ResourceKind, filename };
}

function isPage(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value > 0;
}
