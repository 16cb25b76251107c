import type { ConfigVersion } from "./queries";

/** A restoration leaves these as they are. */
const KEPT_FIELDS = ["company_name", "customer_texts"];

/** True for a change that a restoration undoes, at least in part. */
export function isRestorable({ changes }: Pick<ConfigVersion, "changes">): boolean {
  return changes.some(({ field }) => !KEPT_FIELDS.includes(field));
}

/** Writes a value of the configuration as a text: a list one entry a line, an object one field a line, no value as null. */
export function textOfValue(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map((entry) => textOfValue(entry) ?? "").join("\n");
  if (typeof value === "object") return linesOf(value, "").join("\n");
  return JSON.stringify(value);
}

function linesOf(object: object, path: string): string[] {
  return Object.entries<unknown>({ ...object }).flatMap(([key, value]) => {
    const name = path === "" ? key : `${path}.${key}`;
    if (value === null || value === undefined) return [];
    if (Array.isArray(value)) return [`${name}: ${spansOf(value)}`];
    return typeof value === "object" ? linesOf(value, name) : [`${name}: ${textOfValue(value) ?? ""}`];
  });
}

/** Opening times of a day are pairs of a begin and an end. */
const spansOf = (spans: unknown[]) => spans.map((span) => (Array.isArray(span) ? span.join("–") : (textOfValue(span) ?? ""))).join(", ");
