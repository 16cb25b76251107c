/** Writes a value of the configuration as a text: a list one entry a line, no value as null. */
export function textOfValue(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map((entry) => textOfValue(entry) ?? "").join("\n");
  if (typeof value === "object") return Object.entries(value).map(([key, entry]) => `${key}: ${spansOf(entry)}`).join("\n");
  return JSON.stringify(value);
}

/** Opening times of a day are pairs. */
function spansOf(value: unknown): string {
  if (!Array.isArray(value)) return textOfValue(value) ?? "";
  return value.map((span) => (Array.isArray(span) ? span.join("–") : (textOfValue(span) ?? ""))).join(", ");
}
