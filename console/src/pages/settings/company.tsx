import { zodResolver } from "@hookform/resolvers/zod";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { Controller } from "react-hook-form";
import { z } from "zod";

import { call, client } from "@/api/client";
import { useLanguage, useTexts } from "@/texts";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";
import { Field } from "@/ui/field";
import { Input, Select } from "@/ui/input";

import { useDraftForm } from "./draft-form";
import { type Customer, type CustomerPatch, customerQuery } from "./queries";
import { useSave } from "./save";
import { Loaded, Section } from "./section";
import { SwitchField } from "./switch-field";

interface CompanyValues {
  name: string;
  currency: string;
  timezone: string;
  language: string;
  notices: Record<string, boolean>;
}

const valuesOf = ({ name, currency, timezone, language, notices }: Customer): CompanyValues => ({ name, currency, timezone, language, notices });

/** The company: name, money, time, language, and the notices that it wants. */
export function CompanySection() {
  const customer = useQuery(customerQuery);
  return (
    <Section name="company">
      <Loaded query={customer}>{(data) => <CompanyForm customer={data} />}</Loaded>
    </Section>
  );
}

function CompanyForm({ customer }: { customer: Customer }) {
  const { settings, common, layout } = useTexts("settings");
  const text = settings.company;
  const queries = useQueryClient();
  const saved = useMemo(() => valuesOf(customer), [customer]);
  const schema = z.object({
    name: z.string().trim().min(1, common.required).max(200, settings.tooLong(200)),
    currency: z.string(),
    timezone: z.string(),
    language: z.string(),
    notices: z.record(z.string(), z.boolean()),
  });
  const draft = useDraftForm<CompanyValues>("company", saved, zodResolver(schema));
  const { form } = draft;
  const { errors } = form.formState;
  const save = useSave({
    draft,
    labels: { name: text.name, currency: text.currency, timezone: text.timezone, language: text.language, notices: text.notices },
    send: async ({ language, ...changes }) => {
      const body: CustomerPatch = { ...changes, ...(language !== undefined && { language: language === "en" ? "en" : "fr" }) };
      const { data } = await call(client.PATCH("/api/v1/customers/me", { body }));
      queries.setQueryData(customerQuery.queryKey, data);
      return valuesOf(data);
    },
    // The context's name, currency and timezone are shown on every page.
    onSaved: () => void queries.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] === "context" || queryKey[0] === "config" }),
  });
  return (
    <form noValidate className="grid gap-5" onSubmit={save.onSubmit}>
      <Card>
        <CardContent className="grid gap-5">
          <Field label={text.name} hint={text.nameHint} error={errors.name?.message}>
            {(control) => <Input {...control} dir="auto" maxLength={200} className="max-w-md" autoComplete="organization" {...form.register("name")} />}
          </Field>
          <Field label={text.currency} hint={text.currencyHint} error={errors.currency?.message}>
            {(control) => (
              <Select {...control} className="max-w-md" {...form.register("currency")}>
                <CurrencyOptions saved={customer.currency} />
              </Select>
            )}
          </Field>
          <Field label={text.timezone} hint={text.timezoneHint} error={errors.timezone?.message}>
            {(control) => (
              <Select {...control} className="max-w-md" {...form.register("timezone")}>
                <TimezoneOptions saved={customer.timezone} />
              </Select>
            )}
          </Field>
          <Field label={text.language} hint={text.languageHint} error={errors.language?.message}>
            {(control) => (
              <Select {...control} className="max-w-md" {...form.register("language")}>
                <option value="fr">{layout.languages.fr}</option>
                <option value="en">{layout.languages.en}</option>
              </Select>
            )}
          </Field>
        </CardContent>
      </Card>
      <Card>
        <CardHeader>
          <CardTitle>{text.notices}</CardTitle>
        </CardHeader>
        <CardContent className="grid gap-4">
          <p className="text-sm text-muted-foreground">{text.noticesHint}</p>
          <Controller
            control={form.control}
            name="notices"
            render={({ field }) => (
              <>
                {Object.entries(field.value).map(([kind, isOn]) => (
                  <SwitchField
                    key={kind}
                    label={text.noticeNames[kind] ?? kind}
                    isOn={isOn}
                    onChange={(value) => field.onChange({ ...field.value, [kind]: value })}
                  />
                ))}
              </>
            )}
          />
        </CardContent>
      </Card>
      {save.bar}
    </form>
  );
}

/** The currencies that the browser knows, by name; the saved one in any case. */
function CurrencyOptions({ saved }: { saved: string }) {
  const language = useLanguage();
  const options = useMemo(() => {
    const names = new Intl.DisplayNames(language, { type: "currency" });
    const codes = [...new Set([saved, ...Intl.supportedValuesOf("currency")])];
    return codes.map((code) => ({ code, name: names.of(code) ?? code })).sort((a, b) => a.name.localeCompare(b.name, language));
  }, [language, saved]);
  return options.map(({ code, name }) => (
    <option key={code} value={code}>
      {name} ({code})
    </option>
  ));
}

function TimezoneOptions({ saved }: { saved: string }) {
  const zones = useMemo(() => [...new Set([saved, "UTC", ...Intl.supportedValuesOf("timeZone")])].sort(), [saved]);
  return zones.map((zone) => (
    <option key={zone} value={zone}>
      {zone.replaceAll("_", " ")}
    </option>
  ));
}
