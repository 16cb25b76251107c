import type { UseFormReturn } from "react-hook-form";

import { ApiError } from "@/api/errors";
import { texts } from "@/texts";

import type { OrderValues } from "./form";

const FIELDS = ["name", "quantity", "unit_price"] as const;

/** Puts the refused values of items (`items[2].unit_price`) beside their fields. */
export function showItemErrors(form: UseFormReturn<OrderValues>, error: unknown): void {
  if (!(error instanceof ApiError)) return;
  for (const { field, message } of error.fieldErrors) {
    const [, place, name] = /^items\[(\d+)\]\.(\w+)$/.exec(field) ?? [];
    const known = FIELDS.find((one) => one === (name === "product_id" ? "unit_price" : name));
    if (place === undefined || known === undefined) continue;
    form.setError(`items.${Number(place)}.${known}`, { type: "server", message: texts().errors.refused(message) });
  }
}
