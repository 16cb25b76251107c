/** The form of a product: its values, its checks, and what of them goes to the API. */
import { z } from "zod";

import { parseAmount } from "@/lib/amount";
import type { Texts } from "@/texts";

import type { Product } from "./queries";

export interface ProductValues {
  name: string;
  price: string;
  currency: string;
  /** Empty for none. */
  description: string;
  available: boolean;
}

export function productSchema({ products, common }: Pick<Texts, "products" | "common">) {
  return z.object({
    name: z.string().trim().min(1, common.required).max(200),
    price: z.string().refine((text) => parseAmount(text) !== undefined, products.priceInvalid),
    currency: z.string().regex(/^\s*[A-Za-z]{3}\s*$/, products.currencyInvalid),
    description: z.string().max(2000),
    available: z.boolean(),
  });
}

export const valuesOf = (product: Product): ProductValues => ({
  name: product.name,
  price: product.price,
  currency: product.currency,
  description: product.description ?? "",
  available: product.available,
});

export const bodyOf = ({ name, price, currency, description, available }: ProductValues) => ({
  name: name.trim(),
  price: parseAmount(price) ?? price,
  currency: currency.trim().toUpperCase(),
  description: description.trim() === "" ? null : description,
  available,
});
