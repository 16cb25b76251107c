import { Download } from "lucide-react";

import { saveCsv } from "@/lib/download";
import { type Format } from "@/lib/format";
import { useFormat } from "@/session/company";
import { type Texts, useLanguage, useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from "@/ui/table";

import { type DayStats, type Figures, revenueIn } from "./period";
import type { Stats } from "./queries";

interface Column {
  title: string;
  value: (figures: Figures) => number;
  /** Formats the value for the page. The CSV file has the plain number. */
  text: (value: number) => string;
}

/** The figures of each day: what the charts show, to be read and to be calculated with. */
export function FiguresTable({ stats }: { stats: Stats }) {
  const { dashboard } = useTexts("dashboard");
  const format = useFormat();
  const language = useLanguage();
  const columns = columnsOf(stats, dashboard, format);
  const save = () => {
    const head = [dashboard.day, ...columns.map(({ title }) => title)];
    const rows = stats.days.map((day) => [day.date, ...columns.map(({ value }) => value(day))]);
    void saveCsv(`${dashboard.file}-${stats.from}-${stats.to}.csv`, language, [head, ...rows]);
  };
  return (
    <Card>
      <CardHeader>
        <CardTitle>{dashboard.table}</CardTitle>
        <Button variant="outline" size="sm" onClick={save}>
          <Download aria-hidden />
          {dashboard.csv}
        </Button>
      </CardHeader>
      <CardContent>
        <details>
          <summary className="text-sm text-primary underline underline-offset-4">{dashboard.showTable(stats.days.length)}</summary>
          <Table aria-label={dashboard.table} className="mt-3">
            <TableHeader>
              <TableRow>
                <TableHead className="pl-0">{dashboard.day}</TableHead>
                {columns.map(({ title }) => (
                  <TableHead key={title} className="text-right">
                    {title}
                  </TableHead>
                ))}
              </TableRow>
            </TableHeader>
            <TableBody>
              {stats.days.toReversed().map((day) => (
                <DayRow key={day.date} day={day} columns={columns} title={format.day(day.date)} />
              ))}
            </TableBody>
          </Table>
        </details>
      </CardContent>
    </Card>
  );
}

function DayRow({ day, columns, title }: { day: DayStats; columns: readonly Column[]; title: string }) {
  return (
    <TableRow>
      <TableHead scope="row" className="pl-0 font-normal text-foreground">
        {title}
      </TableHead>
      {columns.map((column) => (
        <TableCell key={column.title} className="text-right whitespace-nowrap tabular-nums">
          {column.text(column.value(day))}
        </TableCell>
      ))}
    </TableRow>
  );
}

function columnsOf(stats: Stats, dashboard: Texts["dashboard"], format: Format): Column[] {
  const count = (title: string, value: Column["value"]): Column => ({ title, value, text: format.number });
  return [
    count(dashboard.conversationsTitle, (day) => day.conversations),
    count(dashboard.messages, (day) => day.messages),
    count(dashboard.bot, (day) => day.bot_answers),
    count(dashboard.person, (day) => day.person_answers),
    count(dashboard.nobody, (day) => day.unanswered),
    count(dashboard.handovers, (day) => day.handovers),
    count(dashboard.orders, (day) => day.orders),
    ...stats.totals.revenue.map(({ currency }) => ({
      title: dashboard.revenueOf(currency),
      value: revenueIn(currency),
      text: (value: number) => format.money(value, currency),
    })),
    { title: dashboard.costUsd, value: (day) => day.cost_micros / 1_000_000, text: (value) => format.moneyOfMicros(value * 1_000_000) },
    count(dashboard.thumbsUp, (day) => day.thumbs_up),
    count(dashboard.thumbsDown, (day) => day.thumbs_down),
  ];
}
