/** Reads a file of products for the preview, by the rules of the API's import, which decides in the end. */
import type PapaParse from "papaparse";

import { parseAmount } from "@/lib/amount";
import type { Texts } from "@/texts";

export const MAX_ROWS = 20_000;
const MAX_NAME_CHARS = 200;
const MAX_DESCRIPTION_CHARS = 2_000;

const COLUMNS: Record<string, Column> = {
  name: "name",
  product: "name",
  nom: "name",
  produit: "name",
  description: "description",
  price: "price",
  prix: "price",
  currency: "currency",
  devise: "currency",
  monnaie: "currency",
  available: "available",
  disponible: "available",
};
const ANSWERS = new Set(["", "true", "yes", "oui", "1", "x", "vrai", "false", "no", "non", "0", "faux"]);

type Papa = Pick<typeof PapaParse, "parse">;

export type Column = "name" | "description" | "price" | "currency" | "available";

export interface Row {
  /** Line of the file in which the row begins, from 1. */
  line: number;
  fields: string[];
}

/** A value that the import refuses. */
export interface Fault {
  /** Null for the file as a whole. */
  line: number | null;
  /** The column, or `row`. */
  field: string;
  value: string;
  reason: string;
}

export interface ProductFile {
  filename: string;
  bytes: ArrayBuffer;
  /** False for files of older spreadsheets; the API then tells the encoding itself. */
  isUtf8: boolean;
  header: string[];
  columns: (Column | null)[];
  rows: Row[];
  faults: Fault[];
}

/** Reads a file; null for one that is no text. */
export async function readProducts(
  filename: string,
  bytes: ArrayBuffer,
  reasons: Texts["products"]["reasons"],
): Promise<ProductFile | null> {
  const decoded = decode(bytes);
  if (decoded === null) return null;
  const [first, ...rows] = records((await import("papaparse")).default, decoded.text);
  const header = first?.fields ?? [];
  const columns = header.map((name) => COLUMNS[fold(name)] ?? null);
  const faults = [...headerFaults(header, columns, reasons), ...(rows.length === 0 ? [whole(reasons.empty)] : [])];
  if (rows.length > MAX_ROWS) faults.push(whole(reasons.tooMany(MAX_ROWS.toLocaleString())));
  if (faults.length === 0) faults.push(...rowFaults(rows, columns, reasons));
  return { filename, bytes, isUtf8: decoded.isUtf8, header, columns, rows, faults };
}

function decode(bytes: ArrayBuffer): { text: string; isUtf8: boolean } | null {
  const start = new Uint8Array(bytes.slice(0, 2));
  const wide = start[0] === 0xff && start[1] === 0xfe ? "utf-16le" : start[0] === 0xfe && start[1] === 0xff ? "utf-16be" : null;
  if (wide !== null) return { text: new TextDecoder(wide).decode(bytes), isUtf8: false };
  const found = decodeNarrow(bytes);
  return found.text.includes("\0") ? null : found;
}

function decodeNarrow(bytes: ArrayBuffer): { text: string; isUtf8: boolean } {
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes), isUtf8: true };
  } catch {
    return { text: new TextDecoder("windows-1252").decode(bytes), isUtf8: false };
  }
}

/** The records that have a value, each with its line. */
function records(papa: Papa, text: string): Row[] {
  // Excel's own line names the separator.
  const named = /^sep=(.)\r?\n/.exec(text);
  const body = named === null ? text : text.slice(named[0].length);
  const rows: Row[] = [];
  let line = named === null ? 1 : 2;
  let start = 0;
  papa.parse<string[]>(body, {
    delimiter: named?.[1] ?? guessSeparator(papa, body),
    step: ({ data, meta }) => {
      const fields = data.map((field) => field.trim());
      if (fields.some((field) => field !== "")) rows.push({ line, fields });
      line += body.slice(start, meta.cursor).split("\n").length - 1;
      start = meta.cursor;
    },
  });
  return rows;
}

/** The separator by the first rows; empty ones would mislead the guess. */
function guessSeparator(papa: Papa, text: string): string {
  return papa.parse(text, { preview: 50, skipEmptyLines: "greedy", delimitersToGuess: [";", "\t", ",", "|"] }).meta.delimiter;
}

function fold(text: string): string {
  return text.trim().normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().replace(/\s+/g, " ");
}

const whole = (reason: string): Fault => ({ line: null, field: "row", value: "", reason });

function headerFaults(header: string[], columns: (Column | null)[], reasons: Texts["products"]["reasons"]): Fault[] {
  const faults: Fault[] = [];
  columns.forEach((column, place) => {
    const value = header[place] ?? "";
    if (column === null) faults.push({ line: 1, field: value, value, reason: reasons.columnUnknown });
    else if (columns.indexOf(column) < place) faults.push({ line: 1, field: column, value, reason: reasons.columnTwice });
  });
  for (const required of ["name", "price"] as const) {
    if (!columns.includes(required)) faults.push({ line: 1, field: required, value: "", reason: reasons.columnMissing });
  }
  return faults;
}

function rowFaults(rows: Row[], columns: (Column | null)[], reasons: Texts["products"]["reasons"]): Fault[] {
  const faults: Fault[] = [];
  const lines = new Map<string, number>();
  for (const row of rows) {
    if (row.fields.length !== columns.length) {
      faults.push({ line: row.line, field: "row", value: row.fields.join(" | "), reason: reasons.fields(row.fields.length, columns.length) });
      continue;
    }
    columns.forEach((column, place) => {
      const value = row.fields[place] ?? "";
      const reason = column === null ? null : cellFault(column, value, reasons);
      if (column !== null && reason !== null) faults.push({ line: row.line, field: column, value, reason });
    });
    const name = fold(cellOf(row, columns, "name"));
    const first = lines.get(name);
    if (first === undefined) lines.set(name, row.line);
    else if (name !== "") faults.push({ line: row.line, field: "name", value: cellOf(row, columns, "name"), reason: reasons.nameRepeated(first) });
  }
  return faults;
}

export const cellOf = (row: Row, columns: readonly (Column | null)[], column: Column) => row.fields[columns.indexOf(column)] ?? "";

function cellFault(column: Column, value: string, reasons: Texts["products"]["reasons"]): string | null {
  switch (column) {
    case "name":
      return value === "" ? reasons.nameMissing : textFault(value, MAX_NAME_CHARS, reasons);
    case "description":
      return textFault(value, MAX_DESCRIPTION_CHARS, reasons);
    case "price":
      if (value === "") return reasons.priceMissing;
      return parseAmount(value) === undefined ? reasons.price : null;
    case "currency":
      return value === "" || /^[A-Za-z]{3}$/.test(value) ? null : reasons.currency;
    case "available":
      return ANSWERS.has(fold(value)) ? null : reasons.available;
  }
}

function textFault(value: string, max: number, reasons: Texts["products"]["reasons"]): string | null {
  if (/^[=+\-@]/.test(value)) return reasons.formula;
  return Array.from(value).length > max ? reasons.tooLong(max) : null;
}
