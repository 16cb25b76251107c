import { useInfiniteQuery } from "@tanstack/react-query";
import { ReceiptText } from "lucide-react";

import { LoadMore } from "@/layout/load-more";
import { EmptyState } from "@/layout/states";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";
import { Card } from "@/ui/card";
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from "@/ui/table";

import { planName } from "./plan-names";
import { type BillingRecord, invoicesQuery } from "./queries";
import { Loaded, Section } from "./section";

const VARIANTS: Record<string, "success" | "warning" | "destructive" | "secondary"> = {
  paid: "success",
  invoiced: "secondary",
  closed: "secondary",
  failed: "destructive",
};

/** The billed periods, newest first. */
export function InvoicesSection() {
  const { settings } = useTexts("settings");
  const list = useInfiniteQuery(invoicesQuery);
  return (
    <Section name="invoices">
      <Loaded query={list}>
        {({ pages }) => {
          const records = pages.flatMap(({ data }) => data);
          if (records.length === 0) {
            return (
              <EmptyState icon={ReceiptText} title={settings.invoices.empty}>
                <p>{settings.invoices.emptyHint}</p>
              </EmptyState>
            );
          }
          return (
            <>
              <Card>
                <InvoiceTable records={records} />
              </Card>
              <p className="text-sm text-muted-foreground">{settings.invoices.stripeHint}</p>
              <LoadMore list={list} />
            </>
          );
        }}
      </Loaded>
    </Section>
  );
}

function InvoiceTable({ records }: { records: readonly BillingRecord[] }) {
  const all = useTexts("settings");
  const text = all.settings.invoices;
  const format = useFormat();
  return (
    <Table aria-label={all.settings.sections.invoices}>
      <TableHeader>
        <TableRow>
          <TableHead>{text.period}</TableHead>
          <TableHead>{text.plan}</TableHead>
          <TableHead className="text-right">{text.requests}</TableHead>
          <TableHead className="text-right">{text.amount}</TableHead>
          <TableHead className="text-right">{text.overage}</TableHead>
          <TableHead>{text.status}</TableHead>
        </TableRow>
      </TableHeader>
      <TableBody>
        {records.map((record) => (
          <TableRow key={record.id}>
            <TableCell className="whitespace-nowrap">
              {format.date(record.period_start)} – {format.date(record.period_end)}
            </TableCell>
            <TableCell>{planName(record.plan, all)}</TableCell>
            <TableCell className="text-right whitespace-nowrap">
              {format.number(record.requests)}
              {record.request_limit != null && ` / ${format.number(record.request_limit)}`}
            </TableCell>
            <TableCell className="text-right whitespace-nowrap">{format.moneyOfCents(record.amount_cents, record.currency)}</TableCell>
            <TableCell className="text-right whitespace-nowrap">{format.moneyOfCents(record.overage_cents, record.currency)}</TableCell>
            <TableCell>
              <Badge variant={VARIANTS[record.status] ?? "secondary"}>{text.statuses[record.status] ?? record.status}</Badge>
              {record.failure && <p className="mt-1 max-w-52 text-xs text-muted-foreground">{text.failures[record.failure] ?? record.failure}</p>}
            </TableCell>
          </TableRow>
        ))}
      </TableBody>
    </Table>
  );
}
