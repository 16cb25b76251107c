import { useCompany, useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";

import { BarChart, type Series } from "./chart";
import { bucketsOf, type DayStats, revenueIn, sum } from "./period";
import type { Stats } from "./queries";

const MAIN = { fill: "fill-primary", mark: "bg-primary" };
const SECOND = { fill: "fill-warning", mark: "bg-warning" };
const THIRD = { fill: "fill-muted-foreground", mark: "bg-muted-foreground" };

/** A chart for each question: how much is asked, who answers, what it costs, what is ordered and earned. */
export function Charts({ stats }: { stats: Stats }) {
  const { dashboard } = useTexts("dashboard");
  const format = useFormat();
  const { currency } = useCompany().tenant;
  const buckets = bucketsOf(stats.days);
  const labels = buckets.map(({ from, to }) => (from === to ? format.day(from) : `${format.day(from)} – ${format.day(to)}`));
  const series = (name: string, figure: (day: DayStats) => number, look = MAIN): Series => ({
    name,
    values: buckets.map((bucket) => sum(bucket, figure)),
    ...look,
  });
  const money = (value: number) => format.money(value, currency);
  const charts = [
    { title: dashboard.messages, format: format.number, series: [series(dashboard.messages, (day) => day.messages)] },
    {
      title: dashboard.answers,
      format: format.number,
      series: [
        series(dashboard.bot, (day) => day.bot_answers),
        series(dashboard.person, (day) => day.person_answers, SECOND),
        series(dashboard.nobody, (day) => day.unanswered, THIRD),
      ],
    },
    { title: dashboard.orders, format: format.number, series: [series(dashboard.orders, (day) => day.orders)] },
    { title: dashboard.revenueOf(currency), format: money, series: [series(dashboard.revenue, revenueIn(currency))] },
    { title: dashboard.cost, format: format.moneyOfMicros, series: [series(dashboard.cost, (day) => day.cost_micros)] },
  ];
  return (
    <div className="grid grid-cols-1 gap-5 lg:grid-cols-2">
      {charts.map((chart) => (
        <Card key={chart.title}>
          <CardHeader>
            <CardTitle>{chart.title}</CardTitle>
          </CardHeader>
          <CardContent>
            <BarChart labels={labels} series={chart.series} format={chart.format} summary={summaryOf(chart.title, chart.series, chart.format, labels, dashboard.chart)} />
          </CardContent>
        </Card>
      ))}
    </div>
  );
}

/** Returns the text of a chart: the total of each series, and the bar with the largest sum. */
function summaryOf(
  title: string,
  series: readonly Series[],
  format: (value: number) => string,
  labels: readonly string[],
  text: (title: string, totals: string, most: string) => string,
): string {
  const totals = series.map(({ name, values }) => `${name} ${format(values.reduce((total, value) => total + value, 0))}`);
  const heights = labels.map((_, at) => series.reduce((total, { values }) => total + (values[at] ?? 0), 0));
  const most = heights.indexOf(Math.max(...heights));
  return text(title, totals.join(", "), `${labels[most] ?? ""} (${format(heights[most] ?? 0)})`);
}
