import { ApiError } from "@/api/errors";
import { oneOf } from "@/lib/search";
import type { Texts } from "@/texts";

import { STATUSES } from "./search";

/** Explains a 409 by the status that the order has by now; null for other errors. */
export function conflictText(error: unknown, orders: Texts["orders"]): string | null {
  if (!(error instanceof ApiError) || error.status !== 409) return null;
  const explain = (orders.conflict as Partial<Record<string, (status: string) => string>>)[error.code];
  const status = oneOf((error.details as { status?: unknown } | null)?.status, STATUSES);
  return explain === undefined || status === undefined ? null : explain(orders.statuses[status]);
}
