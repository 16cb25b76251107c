import { oneOf, pageOf, textOf } from "@/lib/search";

export const FILTERS = ["available", "unavailable", "archived"] as const;
/** The orders of the list; the first is the default. */
export const SORTS = ["-created_at", "created_at", "name", "-name"] as const;

/** Search parameters of the catalogue. */
export interface ProductsSearch {
  search?: string | undefined;
  /** Without it, the catalogue without archived products. */
  status?: (typeof FILTERS)[number] | undefined;
  sort?: (typeof SORTS)[number] | undefined;
  page?: number | undefined;
  /** The product whose form is open, or `new`. */
  product?: string | undefined;
}

/** Reads the search parameters. Invalid ones are undefined by name: the router would pass on a parameter that is not named. */
export function parseProductsSearch(raw: Record<string, unknown>): ProductsSearch {
  const product = textOf(raw["product"], 36);
  return {
    search: textOf(raw["search"]),
    status: oneOf(raw["status"], FILTERS),
    sort: oneOf(raw["sort"], SORTS),
    page: pageOf(raw["page"]),
    product: product === "new" || /^[0-9a-f-]{36}$/.test(product ?? "") ? product : undefined,
  };
}
