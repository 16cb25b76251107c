import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";

import { cn } from "@/lib/cn";
import { defined } from "@/lib/search";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";

import { isRange, MAX_DAYS, type Period, PRESETS } from "./period";
import { dashboardRoute } from "./route";

/** The last days, or a first and a last one. */
export function PeriodChoice({ period }: { period: Period }) {
  const { dashboard } = useTexts("dashboard");
  const search = dashboardRoute.useSearch();
  const chosen = search.from === undefined ? (search.days ?? 30) : null;
  return (
    <div className="flex flex-wrap items-end gap-x-6 gap-y-3">
      <nav aria-label={dashboard.period} className="flex flex-wrap gap-1 rounded-md bg-muted p-1">
        {PRESETS.map((days) => (
          <Link
            key={days}
            to="/dashboard"
            search={defined({ days: days === 30 ? undefined : days })}
            aria-current={chosen === days ? "true" : undefined}
            className={cn(
              "rounded-sm px-3 py-1 text-sm font-medium whitespace-nowrap text-muted-foreground",
              chosen === days && "bg-card text-foreground shadow-sm",
            )}
          >
            {dashboard.presets[days]}
          </Link>
        ))}
      </nav>
      <Range key={`${period.from} ${period.to}`} period={period} />
    </div>
  );
}

function Range({ period }: { period: Period }) {
  const { dashboard, common } = useTexts("dashboard");
  const navigate = useNavigate({ from: "/dashboard" });
  const [range, setRange] = useState(period);
  const isValid = isRange(range);
  const hasChanged = range.from !== period.from || range.to !== period.to;
  return (
    <form
      noValidate
      className="flex flex-wrap items-end gap-2"
      onSubmit={(event) => {
        event.preventDefault();
        if (isValid) void navigate({ search: range });
      }}
    >
      <Field label={common.from}>
        {(control) => <Input {...control} type="date" className="w-40" value={range.from} onChange={({ target }) => setRange({ ...range, from: target.value })} />}
      </Field>
      <Field label={common.to}>
        {(control) => <Input {...control} type="date" className="w-40" value={range.to} onChange={({ target }) => setRange({ ...range, to: target.value })} />}
      </Field>
      <Button type="submit" variant="outline" disabled={!isValid || !hasChanged}>
        {dashboard.show}
      </Button>
      <p role="status" className="basis-full text-sm text-destructive empty:hidden">
        {isValid ? "" : dashboard.rangeInvalid(MAX_DAYS)}
      </p>
    </form>
  );
}
