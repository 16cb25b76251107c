import { zodResolver } from "@hookform/resolvers/zod";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { z } from "zod";

import { call, client } from "@/api/client";
import { useTexts } from "@/texts";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";
import { Field } from "@/ui/field";
import { Textarea } from "@/ui/input";

import { useDraftForm } from "./draft-form";
import { type Customer, customerQuery } from "./queries";
import { useSave } from "./save";
import { Loaded, Section } from "./section";
import { SENTENCES, type SentencesValues, sentencesPatch, valuesOfSentences } from "./sentences-values";

const MAX_CHARS = 1_000;
const LANGUAGES = ["fr", "en"] as const;

/** The sentences that the assistant says by itself, in both languages of the customers. */
export function SentencesSection() {
  const customer = useQuery(customerQuery);
  return (
    <Section name="sentences">
      <Loaded query={customer}>{(data) => <SentencesForm customer={data} />}</Loaded>
    </Section>
  );
}

function SentencesForm({ customer }: { customer: Customer }) {
  const { settings, layout } = useTexts("settings");
  const text = settings.sentence;
  const queries = useQueryClient();
  const saved = useMemo(() => valuesOfSentences(customer), [customer]);
  const sentence = z.string().max(MAX_CHARS, settings.tooLong(MAX_CHARS));
  const schema = z.object({
    greeting_fr: sentence,
    greeting_en: sentence,
    refusal_fr: sentence,
    refusal_en: sentence,
    handover_fr: sentence,
    handover_en: sentence,
  });
  const draft = useDraftForm<SentencesValues>("sentences", saved, zodResolver(schema));
  const { form } = draft;
  const label = (name: (typeof SENTENCES)[number], language: "fr" | "en") => `${text[name]} (${layout.languages[language]})`;
  const save = useSave({
    draft,
    labels: {
      greeting_fr: label("greeting", "fr"),
      greeting_en: label("greeting", "en"),
      refusal_fr: label("refusal", "fr"),
      refusal_en: label("refusal", "en"),
      handover_fr: label("handover", "fr"),
      handover_en: label("handover", "en"),
    },
    send: async (changes) => {
      const { data } = await call(client.PATCH("/api/v1/customers/me", { body: sentencesPatch(changes) }));
      queries.setQueryData(customerQuery.queryKey, data);
      return valuesOfSentences(data);
    },
  });
  return (
    <form noValidate className="grid gap-5" onSubmit={save.onSubmit}>
      {SENTENCES.map((name) => (
        <Card key={name}>
          <CardHeader>
            <CardTitle>{text[name]}</CardTitle>
          </CardHeader>
          <CardContent className="grid gap-4">
            <p className="text-sm text-muted-foreground">{text.hints[name]}</p>
            <div className="grid items-start gap-4 md:grid-cols-2">
              {LANGUAGES.map((language) => (
                <Field key={language} label={layout.languages[language]} error={form.formState.errors[`${name}_${language}`]?.message}>
                  {(control) => (
                    <Textarea {...control} lang={language} placeholder={text.standard} {...form.register(`${name}_${language}`)} />
                  )}
                </Field>
              ))}
            </div>
          </CardContent>
        </Card>
      ))}
      {save.bar}
    </form>
  );
}
