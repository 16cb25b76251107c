import { zodResolver } from "@hookform/resolvers/zod";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { z } from "zod";

import { call, client } from "@/api/client";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";

import { useDraftForm } from "./draft-form";
import { MAX_RETENTION_MONTHS, MIN_RETENTION_MONTHS, monthsOf, retentionStart } from "./privacy-values";
import { type Customer, customerQuery } from "./queries";
import { useSave } from "./save";
import { Loaded } from "./section";

interface RetentionValues {
  months: string;
}

/** Form for the number of months for which conversations are kept. A shorter time deletes older ones within minutes. */
export function RetentionCard() {
  const customer = useQuery(customerQuery);
  return <Loaded query={customer}>{(data) => <RetentionForm customer={data} />}</Loaded>;
}

const valuesOf = (customer: Customer): RetentionValues => ({ months: String(customer.conversation_retention_months) });

function RetentionForm({ customer }: { customer: Customer }) {
  const { privacy } = useTexts("privacy");
  const text = privacy.retention;
  const format = useFormat();
  const queries = useQueryClient();
  const saved = useMemo(() => valuesOf(customer), [customer]);
  const schema = z.object({ months: z.string().refine((months) => monthsOf(months) !== null, text.range) });
  const draft = useDraftForm<RetentionValues>("privacy", saved, zodResolver(schema));
  const typed = draft.changes.months === undefined ? null : monthsOf(draft.changes.months);
  const isShorter = typed !== null && typed < customer.conversation_retention_months;
  const firstDay = isShorter ? format.date(retentionStart(typed, new Date()).toISOString()) : "";
  const save = useSave({
    draft,
    labels: { months: text.title },
    question: () => (isShorter ? { title: text.confirmTitle, text: text.confirmText(firstDay), confirm: text.confirm } : null),
    send: async ({ months }) => {
      const body = { conversation_retention_months: monthsOf(months ?? "") };
      const { data } = await call(client.PATCH("/api/v1/customers/me", { body }));
      queries.setQueryData(customerQuery.queryKey, data);
      return valuesOf(data);
    },
  });
  return (
    <form noValidate className="grid gap-5" onSubmit={save.onSubmit}>
      <Card>
        <CardHeader>
          <CardTitle>{text.title}</CardTitle>
        </CardHeader>
        <CardContent className="grid gap-4">
          <Field label={text.label} hint={text.hint} error={draft.form.formState.errors.months?.message}>
            {(control) => (
              <Input
                {...control}
                type="number"
                inputMode="numeric"
                min={MIN_RETENTION_MONTHS}
                max={MAX_RETENTION_MONTHS}
                className="max-w-28"
                {...draft.form.register("months")}
              />
            )}
          </Field>
          <div role="status" className="empty:hidden">
            {isShorter && <Alert variant="warning">{text.warn(firstDay)}</Alert>}
          </div>
        </CardContent>
      </Card>
      {save.bar}
    </form>
  );
}
