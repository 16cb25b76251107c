import type { ReactNode } from "react";

import { useCompany, useFormat } from "@/session/company";
import { useTexts } from "@/texts";

import { changeOf, type Figures, revenueIn } from "./period";
import type { Stats } from "./queries";

/** The figures of the period, each beside the period before. */
export function KeyFigures({ stats: { totals }, before }: { stats: Stats; before: Stats | undefined }) {
  const { dashboard } = useTexts("dashboard");
  const format = useFormat();
  const { currency } = useCompany().tenant;
  const change = (figure: (figures: Figures) => number) => changeOf(figure(totals), before && figure(before.totals));
  const seconds = (s: number) => dashboard.duration(Math.round(s));
  const share = totals.share_answered_by_bot;
  const others = totals.revenue.filter((revenue) => revenue.currency !== currency);
  return (
    <dl className="grid grid-cols-2 gap-3 lg:grid-cols-4">
      <Figure label={dashboard.byBot} value={share === null ? "–" : format.percent(share)}>
        {dashboard.byBotDetail(format.number(totals.bot_answers), format.number(totals.person_answers), format.number(totals.unanswered))}
      </Figure>
      <Figure label={dashboard.messages} value={format.number(totals.messages)} change={change((one) => one.messages)}>
        {dashboard.conversations(totals.conversations)}
      </Figure>
      <Figure label={dashboard.orders} value={format.number(totals.orders)} change={change((one) => one.orders)}>
        {dashboard.ordersDetail(format.number(totals.orders_by_status.pending), format.number(totals.orders_by_status.delivered))}
      </Figure>
      <Figure label={dashboard.revenue} value={format.money(amountIn(totals, currency))} change={change(revenueIn(currency))}>
        {others.length === 0 ? dashboard.revenueHint : others.map(({ amount, currency: of }) => format.money(amount, of)).join(" · ")}
      </Figure>
      <Figure label={dashboard.cost} value={format.moneyOfMicros(totals.cost_micros)} change={change((one) => one.cost_micros)}>
        {dashboard.tokens(totals.tokens)}
      </Figure>
      <Figure label={dashboard.firstAnswer} value={totals.first_answer === null ? "–" : seconds(totals.first_answer.median_s)}>
        {totals.first_answer !== null && dashboard.firstAnswerDetail(seconds(totals.first_answer.p95_s))}
      </Figure>
      <Figure label={dashboard.handovers} value={format.number(totals.handovers)} change={change((one) => one.handovers)}>
        {dashboard.handoversHint}
      </Figure>
      <Figure label={dashboard.thumbs} value={`${format.number(totals.thumbs_up)} / ${format.number(totals.thumbs_down)}`}>
        {dashboard.thumbsHint}
      </Figure>
    </dl>
  );
}

const amountIn = (figures: Figures, currency: string): string => figures.revenue.find((revenue) => revenue.currency === currency)?.amount ?? "0";

function Figure({ label, value, change, children }: { label: string; value: string; change?: number | null; children?: ReactNode }) {
  const { dashboard } = useTexts("dashboard");
  const format = useFormat();
  return (
    <div className="min-w-0 rounded-lg border bg-card px-4 py-3">
      <dt className="text-sm text-muted-foreground">{label}</dt>
      <dd className="mt-1">
        <span className="text-2xl font-semibold tracking-tight [overflow-wrap:anywhere] tabular-nums">{value}</span>
        {change !== undefined && change !== null && (
          <span className="ml-2 text-sm text-muted-foreground" title={dashboard.changeHint}>
            {change > 0 ? "▲" : change < 0 ? "▼" : "="} {format.percent(Math.abs(change))}
            <span className="sr-only">, {dashboard.changeHint}</span>
          </span>
        )}
        <span className="block text-sm text-muted-foreground">{children}</span>
      </dd>
    </div>
  );
}
