import { useQuery } from "@tanstack/react-query";
import { ChartColumn } from "lucide-react";

import { Page } from "@/layout/page";
import { EmptyState, ErrorState, LoadingState } from "@/layout/states";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";

import { Charts } from "./charts";
import { FiguresTable } from "./figures-table";
import { KeyFigures } from "./key-figures";
import { periodBefore, periodOf } from "./period";
import { PeriodChoice } from "./period-choice";
import { statsQuery } from "./queries";
import { dashboardRoute } from "./route";

export function DashboardPage() {
  const { dashboard } = useTexts("dashboard");
  const format = useFormat();
  const period = periodOf(dashboardRoute.useSearch(), format.dayOf(new Date().toISOString()));
  const now = useQuery(statsQuery(period));
  const before = useQuery(statsQuery(periodBefore(period)));
  const isIdle = now.data !== undefined && now.data.totals.messages === 0 && now.data.totals.orders === 0 && now.data.totals.requests === 0;
  return (
    <Page title={dashboard.title} lead={dashboard.lead(format.day(period.from), format.day(period.to))}>
      <PeriodChoice period={period} />
      {now.isPending && <LoadingState />}
      {now.isError && <ErrorState error={now.error} onRetry={() => void now.refetch()} />}
      {isIdle && (
        <EmptyState icon={ChartColumn} title={dashboard.empty}>
          <p>{dashboard.emptyHint}</p>
        </EmptyState>
      )}
      {now.data && !isIdle && (
        <div className="grid grid-cols-1 gap-5 data-[stale=true]:opacity-60" data-stale={now.isPlaceholderData} aria-busy={now.isPlaceholderData}>
          <KeyFigures stats={now.data} before={before.isPlaceholderData ? undefined : before.data} />
          <Charts stats={now.data} />
          <FiguresTable stats={now.data} />
        </div>
      )}
    </Page>
  );
}
