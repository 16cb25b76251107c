import { zodResolver } from "@hookform/resolvers/zod";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { z } from "zod";

import { call, client } from "@/api/client";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";
import { Progress } from "@/ui/progress";

import { useDraftForm } from "./draft-form";
import { planName, planSize } from "./plan-names";
import { type Customer, customerQuery, type Usage, usageQuery } from "./queries";
import { useSave } from "./save";
import { Loaded, Section } from "./section";

const MAX_CAP = 1_000_000;

/** The usage of the present period and the limits of the plan. */
export function UsageSection() {
  const usage = useQuery(usageQuery);
  return (
    <Section name="usage">
      <Loaded query={usage}>
        {(data) => (
          <>
            <Figures usage={data} />
            {(data.plan.overage_cents_per_request ?? null) !== null && <OverageCap />}
          </>
        )}
      </Loaded>
    </Section>
  );
}

function Figures({ usage: { plan, period, requests, storage, models } }: { usage: Usage }) {
  const all = useTexts("settings");
  const text = all.settings.usage;
  const format = useFormat();
  const limit = requests.limit ?? null;
  const cap = models.cap_micros ?? null;
  const of = (used: string, most: string | null) => (most === null ? used : text.of(used, most));
  return (
    <>
      <p className="text-sm text-muted-foreground">
        {planName(plan.name, all)} · {text.period(format.date(period.start), format.date(period.end))}
      </p>
      <div className="grid gap-4 md:grid-cols-3">
        <Figure
          label={text.requests}
          value={of(format.number(requests.used), limit === null ? null : format.number(limit))}
          share={limit === null ? null : requests.used / Math.max(limit, 1)}
          hint={plan.monthly_request_limit == null ? text.lifetime : undefined}
        />
        <Figure
          label={text.storage}
          value={of(planSize(storage.used_bytes, format), planSize(storage.limit_bytes, format))}
          share={storage.used_bytes / Math.max(storage.limit_bytes, 1)}
        />
        <Figure
          label={text.models}
          value={of(format.moneyOfMicros(models.cost_micros), cap === null ? null : format.moneyOfMicros(cap))}
          share={cap === null ? null : models.cost_micros / Math.max(cap, 1)}
          hint={text.tokens(format.number(models.prompt_tokens + models.completion_tokens))}
        />
      </div>
      {requests.overage > 0 && (
        <p className="text-sm">{text.overage(format.number(requests.overage), format.moneyOfCents(requests.overage_cents, plan.currency))}</p>
      )}
    </>
  );
}

function Figure({ label, value, share, hint }: { label: string; value: string; share: number | null; hint?: string | undefined }) {
  return (
    <Card>
      <CardContent className="grid gap-2">
        <h2 className="text-sm font-medium text-muted-foreground">{label}</h2>
        <p className="text-lg font-semibold">{value}</p>
        {share !== null && <Progress label={label} share={Math.min(share, 1)} />}
        {hint !== undefined && <p className="text-sm text-muted-foreground">{hint}</p>}
      </CardContent>
    </Card>
  );
}

interface CapValues {
  /** Empty for as many as the plan has. */
  overage_cap_requests: string;
}

function OverageCap() {
  const customer = useQuery(customerQuery);
  return <Loaded query={customer}>{(data) => <OverageCapForm customer={data} />}</Loaded>;
}

const valuesOf = ({ overage_cap_requests: cap }: Customer): CapValues => ({ overage_cap_requests: String(cap ?? "") });

/** Form for the maximum number of requests over the plan that are answered and paid in a period. */
function OverageCapForm({ customer }: { customer: Customer }) {
  const { settings } = useTexts("settings");
  const text = settings.usage;
  const queries = useQueryClient();
  const saved = useMemo(() => valuesOf(customer), [customer]);
  const schema = z.object({
    overage_cap_requests: z.string().refine((value) => /^\d*$/.test(value.trim()) && Number(value) <= MAX_CAP, text.capRange),
  });
  const draft = useDraftForm<CapValues>("usage", saved, zodResolver(schema));
  const save = useSave({
    draft,
    labels: { overage_cap_requests: text.cap },
    send: async ({ overage_cap_requests: cap = "" }) => {
      const body = { overage_cap_requests: cap.trim() === "" ? null : Number(cap) };
      const { data } = await call(client.PATCH("/api/v1/customers/me", { body }));
      queries.setQueryData(customerQuery.queryKey, data);
      return valuesOf(data);
    },
  });
  return (
    <form noValidate className="grid gap-5" onSubmit={save.onSubmit}>
      <Card>
        <CardHeader>
          <CardTitle>{text.capTitle}</CardTitle>
        </CardHeader>
        <CardContent>
          <Field label={text.cap} hint={text.capHint} error={draft.form.formState.errors.overage_cap_requests?.message}>
            {(control) => <Input {...control} inputMode="numeric" className="max-w-40" {...draft.form.register("overage_cap_requests")} />}
          </Field>
        </CardContent>
      </Card>
      {save.bar}
    </form>
  );
}
