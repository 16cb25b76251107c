/** Checks of a file before a byte is sent: a refusal after a long upload would cost the owner's time and data. */

export const MAX_FILE_BYTES = 20 * 1024 * 1024;
export const MAX_NAME_CHARACTERS = 255;

const EXTENSIONS = ["pdf", "docx", "xlsx", "csv", "txt", "md", "html", "htm"] as const;
/** Formats that owners choose by mistake, with the one that is read. */
const CONVERTIBLE: Readonly<Record<string, "docx" | "xlsx" | "pdf">> = {
  doc: "docx",
  odt: "docx",
  rtf: "docx",
  pages: "docx",
  xls: "xlsx",
  ods: "xlsx",
  numbers: "xlsx",
  ppt: "pdf",
  pptx: "pdf",
  odp: "pdf",
  key: "pdf",
  jpg: "pdf",
  jpeg: "pdf",
  png: "pdf",
  heic: "pdf",
  webp: "pdf",
  tif: "pdf",
  tiff: "pdf",
};
/** First bytes of the formats that have some. */
const SIGNATURES: Readonly<Record<string, readonly number[]>> = {
  docx: [0x50, 0x4b, 0x03, 0x04],
  xlsx: [0x50, 0x4b, 0x03, 0x04],
};
/** The mark of a PDF may stand behind some bytes of a mail program, within the first 1,024 bytes. */
const PDF_MARK = "%PDF-";
const READ_BYTES = 1024;

export const ACCEPTED = EXTENSIONS.map((extension) => `.${extension}`).join(",");

export type Refusal =
  | { kind: "empty" }
  | { kind: "too-large" }
  | { kind: "long-name" }
  | { kind: "convert"; to: "docx" | "xlsx" | "pdf" }
  | { kind: "format" }
  | { kind: "content"; extension: string }
  /** A folder, or a file that was moved or deleted since it was chosen. */
  | { kind: "unreadable" };

export function extensionOf(filename: string): string {
  const dot = filename.lastIndexOf(".");
  return dot < 0 ? "" : filename.slice(dot + 1).toLowerCase();
}

/** Returns the reason why a file is not taken, or null. */
export async function refusalOf(file: File): Promise<Refusal | null> {
  const extension = extensionOf(file.name);
  const convertible = CONVERTIBLE[extension];
  if (convertible !== undefined) return { kind: "convert", to: convertible };
  if (!(EXTENSIONS as readonly string[]).includes(extension)) return { kind: "format" };
  if (Array.from(file.name).length > MAX_NAME_CHARACTERS) return { kind: "long-name" };
  if (file.size > MAX_FILE_BYTES) return { kind: "too-large" };
  let start: Uint8Array;
  try {
    start = new Uint8Array(await file.slice(0, READ_BYTES).arrayBuffer());
  } catch {
    return { kind: "unreadable" };
  }
  if (file.size === 0) return { kind: "empty" };
  return hasContent(extension, start) ? null : { kind: "content", extension };
}

function hasContent(extension: string, start: Uint8Array): boolean {
  if (extension === "pdf") return String.fromCharCode(...start).includes(PDF_MARK);
  return SIGNATURES[extension]?.every((byte, at) => start[at] === byte) ?? true;
}
