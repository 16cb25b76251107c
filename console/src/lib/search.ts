/** Readers of search parameters: anything that an address may not hold becomes undefined, and so its default. */

export function oneOf<T extends string>(value: unknown, known: readonly T[]): T | undefined {
  return known.find((one) => one === value);
}

/** A text without white space at its ends. The router reads `?search=42` as a number. */
export function textOf(value: unknown, maxChars = 200): string | undefined {
  const text = typeof value === "string" || typeof value === "number" ? String(value).trim().slice(0, maxChars) : "";
  return text === "" ? undefined : text;
}

/** A calendar day that exists, such as `2026-11-29`. */
export function dayOf(value: unknown): string | undefined {
  if (typeof value !== "string" || !/^\d{4}-\d{2}-\d{2}$/.test(value)) return undefined;
  const day = new Date(`${value}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(value) ? value : undefined;
}

/** The number of a page after the first. */
export function pageOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 1 ? value : undefined;
}

/** The object without its undefined values, as the router and the API's client take optional values. */
export function defined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
