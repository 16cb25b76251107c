import { totalOf } from "@/lib/amount";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from "@/ui/table";

import type { Order } from "./queries";

export function ItemsTable({ order }: { order: Order }) {
  const { orders } = useTexts("orders");
  const format = useFormat();
  const money = (amount: string) => format.money(amount, order.currency);
  return (
    <Table aria-label={orders.items}>
      <TableHeader>
        <TableRow>
          <TableHead className="pl-0">{orders.item}</TableHead>
          <TableHead className="text-right">{orders.quantity}</TableHead>
          <TableHead className="hidden text-right sm:table-cell">{orders.unitPrice}</TableHead>
          <TableHead className="pr-0 text-right">{orders.lineTotal}</TableHead>
        </TableRow>
      </TableHeader>
      <TableBody>
        {order.items.map((item, place) => (
          <TableRow key={place}>
            <TableCell className="min-w-32 pl-0 [overflow-wrap:anywhere]">
              <bdi>{item.name}</bdi>
              {item.product_id !== null && (
                <span className="block text-xs text-muted-foreground">{orders.fromCatalogue}</span>
              )}
            </TableCell>
            <TableCell className="text-right tabular-nums">{format.number(item.quantity)}</TableCell>
            <TableCell className="hidden text-right whitespace-nowrap tabular-nums sm:table-cell">
              {item.unit_price === null ? "–" : money(item.unit_price)}
            </TableCell>
            <TableCell className="pr-0 text-right whitespace-nowrap tabular-nums">
              {item.unit_price === null ? (
                <Badge variant="destructive">{orders.needsPrice}</Badge>
              ) : (
                money(totalOf([{ quantity: item.quantity, unit_price: item.unit_price }]))
              )}
            </TableCell>
          </TableRow>
        ))}
      </TableBody>
      <tfoot>
        <TableRow className="border-t border-b-0 font-semibold">
          <TableHead scope="row" className="pl-0 text-foreground">
            {orders.total}
          </TableHead>
          <TableCell />
          <TableCell className="hidden sm:table-cell" />
          <TableCell className="pr-0 text-right whitespace-nowrap tabular-nums">{money(order.total_amount)}</TableCell>
        </TableRow>
      </tfoot>
    </Table>
  );
}
