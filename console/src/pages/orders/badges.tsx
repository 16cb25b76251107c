import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";

import type { OrderStatus } from "./search";

const VARIANTS = { pending: "warning", confirmed: "default", preparing: "secondary", delivered: "success", cancelled: "outline" } as const;

export function StatusBadge({ status }: { status: OrderStatus }) {
  const { orders } = useTexts("orders");
  return <Badge variant={VARIANTS[status]}>{orders.statuses[status]}</Badge>;
}

/** An item has no price, so a person must look at the order. */
export function NeedsPriceBadge() {
  const { orders } = useTexts("orders");
  return <Badge variant="destructive">{orders.needsPrice}</Badge>;
}
