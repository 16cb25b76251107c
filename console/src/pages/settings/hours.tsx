import { zodResolver } from "@hookform/resolvers/zod";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus, X } from "lucide-react";
import { useId, useMemo } from "react";
import { Controller, useWatch } from "react-hook-form";
import { z } from "zod";

import { call, client } from "@/api/client";
import { cn } from "@/lib/cn";
import { useCompany } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Card, CardContent } from "@/ui/card";
import { Field } from "@/ui/field";
import { Input, Select } from "@/ui/input";

import { useDraftForm } from "./draft-form";
import { COPY_TARGETS, copyMonday, type CopyTarget, type Day, DAYS, endsNextDay, faultyDays, type Hours, hoursOf, nextSpan, serverHoursOf, type Span } from "./hours-values";
import { type Config, configQuery } from "./queries";
import { useSave } from "./save";
import { Loaded, Section } from "./section";
import { SwitchField } from "./switch-field";

interface HoursValues {
  has_hours: boolean;
  business_hours: Hours;
  outside_hours: string;
}

function valuesOf(config: Config): HoursValues {
  return {
    has_hours: (config.business_hours ?? null) !== null,
    business_hours: hoursOf(config.business_hours),
    outside_hours: config.outside_hours,
  };
}

/** The opening times, and what the assistant does outside of them. */
export function HoursSection() {
  const config = useQuery(configQuery);
  return (
    <Section name="hours">
      <Loaded query={config}>{(data) => <HoursForm config={data} />}</Loaded>
    </Section>
  );
}

function HoursForm({ config }: { config: Config }) {
  const { settings } = useTexts("settings");
  const { timezone } = useCompany().tenant;
  const text = settings.hour;
  const queries = useQueryClient();
  const saved = useMemo(() => valuesOf(config), [config]);
  const schema = z.object({
    has_hours: z.boolean(),
    business_hours: z.custom<Hours>().refine((hours) => faultyDays(hours).length === 0, text.faulty),
    outside_hours: z.string(),
  });
  const draft = useDraftForm<HoursValues>("hours", saved, zodResolver(schema));
  const { form } = draft;
  const hasHours = useWatch({ control: form.control, name: "has_hours" });
  const save = useSave({
    draft,
    labels: { has_hours: text.has, business_hours: text.times, outside_hours: text.outside },
    send: async (changes) => {
      const changesHours = changes.has_hours !== undefined || changes.business_hours !== undefined;
      const { has_hours: has, business_hours: hours } = form.getValues();
      const body = {
        ...(changesHours && { business_hours: has ? serverHoursOf(hours) : null }),
        ...(changes.outside_hours !== undefined && {
          outside_hours: changes.outside_hours === "hand_over" ? ("hand_over" as const) : ("answer" as const),
        }),
      };
      const { data } = await call(client.PATCH("/api/v1/companies/me/config", { body }));
      queries.setQueryData(configQuery.queryKey, data);
      return valuesOf(data);
    },
    onSaved: () => void queries.invalidateQueries({ queryKey: ["config", "versions"] }),
  });
  const fault = form.formState.errors.business_hours?.message;
  return (
    <form noValidate className="grid gap-5" onSubmit={save.onSubmit}>
      <Card>
        <CardContent className="grid gap-5">
          <Controller
            control={form.control}
            name="has_hours"
            render={({ field }) => <SwitchField label={text.has} hint={text.hasHint} isOn={field.value} onChange={field.onChange} />}
          />
          {hasHours && (
            <>
              <Controller
                control={form.control}
                name="business_hours"
                render={({ field }) => <Week hours={field.value} onChange={field.onChange} />}
              />
              {typeof fault === "string" && (
                <p role="alert" className="text-sm text-destructive">
                  {fault}
                </p>
              )}
              <p className="text-sm text-muted-foreground">{text.timezone(timezone)}</p>
              <Field label={text.outside} hint={text.outsideHint}>
                {(control) => (
                  <Select {...control} className="max-w-md" {...form.register("outside_hours")}>
                    <option value="answer">{text.answers}</option>
                    <option value="hand_over">{text.handsOver}</option>
                  </Select>
                )}
              </Field>
            </>
          )}
        </CardContent>
      </Card>
      {save.bar}
    </form>
  );
}

function Week({ hours, onChange }: { hours: Hours; onChange: (hours: Hours) => void }) {
  const { settings } = useTexts("settings");
  const { copy } = settings.hour;
  const copyId = useId();
  return (
    <div className="grid gap-3">
      <ul className="grid divide-y rounded-md border">
        {DAYS.map((day) => (
          <DayRow key={day} day={day} spans={hours[day]} onChange={(spans) => onChange({ ...hours, [day]: spans })} />
        ))}
      </ul>
      <div role="group" aria-labelledby={copyId} className="flex flex-wrap items-center gap-2">
        <span id={copyId} className="text-sm">
          {copy.label}
        </span>
        {(Object.keys(COPY_TARGETS) as CopyTarget[]).map((target) => (
          <Button key={target} variant="outline" size="sm" onClick={() => onChange(copyMonday(hours, target))}>
            {copy.targets[target]}
          </Button>
        ))}
      </div>
    </div>
  );
}

function DayRow({ day, spans, onChange }: { day: Day; spans: Span[]; onChange: (spans: Span[]) => void }) {
  const { settings } = useTexts("settings");
  const text = settings.hour;
  const name = text.days[day];
  const change = (index: number, part: Partial<Span>) => onChange(spans.map((span, at) => (at === index ? { ...span, ...part } : span)));
  return (
    <li className="grid grid-cols-[6rem_1fr_auto] items-start gap-2 px-3 py-2">
      <span className="text-sm leading-9 font-medium">{name}</span>
      <div className={cn("grid gap-2", spans.length > 0 && "max-sm:col-span-3 max-sm:row-start-2")}>
        {spans.length === 0 && <span className="text-sm leading-9 text-muted-foreground">{text.closed}</span>}
        {spans.map((span, index) => (
          <div key={index} className="flex flex-wrap items-center gap-2">
            <Input
              type="time"
              className="w-34"
              value={span.from}
              aria-label={text.from(name, index + 1)}
              onChange={(event) => change(index, { from: event.target.value })}
            />
            <span aria-hidden>–</span>
            <Input
              type="time"
              className="w-34"
              value={span.to}
              aria-label={text.to(name, index + 1)}
              onChange={(event) => change(index, { to: event.target.value })}
            />
            <Button
              variant="ghost"
              size="icon"
              aria-label={text.remove(name, index + 1)}
              onClick={() => onChange(spans.filter((_, at) => at !== index))}
            >
              <X aria-hidden />
            </Button>
            {endsNextDay(span) && <span className="text-sm text-muted-foreground">{text.nextDay}</span>}
          </div>
        ))}
      </div>
      <Button variant="ghost" size="sm" className="col-start-3 my-0.5" aria-label={text.addFor(name)} onClick={() => onChange([...spans, nextSpan(spans)])}>
        <Plus aria-hidden /> <span className="max-sm:sr-only">{text.add}</span>
      </Button>
    </li>
  );
}
