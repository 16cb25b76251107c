/** Files of pdf.js by their names: the frame may not load them itself, so the console hands them over. */
import type { ResourceKind } from "@/viewer/messages";

const urls: Record<ResourceKind, Record<string, string>> = {
  cMapUrl: byName(import.meta.glob<string>("/node_modules/pdfjs-dist/cmaps/*.bcmap", { query: "?url", import: "default", eager: true })),
  standardFontDataUrl: byName(
    import.meta.glob<string>(["/node_modules/pdfjs-dist/standard_fonts/*.pfb", "/node_modules/pdfjs-dist/standard_fonts/*.ttf"], {
      query: "?url",
      import: "default",
      eager: true,
    }),
  ),
  wasmUrl: byName(import.meta.glob<string>("/node_modules/pdfjs-dist/wasm/*.wasm", { query: "?url", import: "default", eager: true })),
};

function byName(paths: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(paths).map(([path, url]) => [path.slice(path.lastIndexOf("/") + 1), url]));
}

/** Loads a file of pdf.js; null for a name that it does not have. The name comes from a frame that a stranger may control. */
export async function loadResource(kind: ResourceKind, filename: string): Promise<ArrayBuffer | null> {
  const known = urls[kind];
  const url = Object.hasOwn(known, filename) ? known[filename] : undefined;
  if (url === undefined) return null;
  // eslint-disable-next-line no-restricted-globals -- A static file of the console, not the API.
  const response = await fetch(url);
  return response.ok ? response.arrayBuffer() : null;
}
