/** Reads a price as a person writes it (`2 500`, `12,50`) into the API's decimal text; undefined when it is none. */
export function parseAmount(typed: string): string | undefined {
  const plain = typed.replace(/[\s\u00a0\u202f]/g, "").replace(/^(\d+),(\d{1,2})$/, "$1.$2");
  return /^\d{1,12}(\.\d{1,2})?$/.test(plain) ? plain : undefined;
}

/** Sums quantity times price in exact hundredths, as the API does; items without a price count nothing. */
export function totalOf(items: readonly { quantity: number; unit_price: string | null }[]): string {
  const cents = items.reduce((sum, { quantity, unit_price }) => {
    const price = unit_price === null ? undefined : parseAmount(unit_price);
    return price === undefined || !Number.isSafeInteger(quantity) ? sum : sum + centsOf(price) * BigInt(quantity);
  }, 0n);
  return `${cents / 100n}.${String(cents % 100n).padStart(2, "0")}`;
}

function centsOf(price: string): bigint {
  const [whole = "0", fraction = ""] = price.split(".");
  return BigInt(whole) * 100n + BigInt(fraction.padEnd(2, "0"));
}
