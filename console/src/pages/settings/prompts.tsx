import { zodResolver } from "@hookform/resolvers/zod";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { useWatch, type UseFormReturn } from "react-hook-form";
import { z } from "zod";

import { call, client } from "@/api/client";
import { useCompany, useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";
import { Field } from "@/ui/field";
import { Textarea } from "@/ui/input";

import { useDraftForm } from "./draft-form";
import { type Config, type ConfigPatch, configQuery } from "./queries";
import { useSave } from "./save";
import { Loaded, Section } from "./section";

const PROMPTS = ["prompt_rag", "prompt_botlive_groq_70b", "prompt_botlive_deepseek_v3"] as const;
const MAX_CHARS = 20_000;

type PromptName = (typeof PROMPTS)[number];
type PromptValues = Record<PromptName, string>;

const valuesOf = (config: Config): PromptValues => ({
  prompt_rag: config.prompt_rag ?? "",
  prompt_botlive_groq_70b: config.prompt_botlive_groq_70b ?? "",
  prompt_botlive_deepseek_v3: config.prompt_botlive_deepseek_v3 ?? "",
});

/** The instructions to the language models; an empty one is the product's own. */
export function PromptsSection() {
  const { settings } = useTexts("settings");
  const config = useQuery(configQuery);
  return (
    <Section
      name="prompts"
      actions={
        <Button variant="outline" asChild>
          <Link to="/settings/history">{settings.prompts.toHistory}</Link>
        </Button>
      }
    >
      <Loaded query={config}>{(data) => <PromptsForm config={data} />}</Loaded>
    </Section>
  );
}

function PromptsForm({ config }: { config: Config }) {
  const { settings } = useTexts("settings");
  const { mode } = useCompany();
  const text = settings.prompts;
  const queries = useQueryClient();
  const saved = useMemo(() => valuesOf(config), [config]);
  const prompt = z.string().max(MAX_CHARS, settings.tooLong(MAX_CHARS));
  const schema = z.object({ prompt_rag: prompt, prompt_botlive_groq_70b: prompt, prompt_botlive_deepseek_v3: prompt });
  const draft = useDraftForm<PromptValues>("prompts", saved, zodResolver(schema));
  const save = useSave({
    draft,
    labels: text.names,
    send: async (changes, accepts) => {
      const prompts = Object.entries(changes).map(([name, value]) => [name, value.trim() === "" ? null : value] as const);
      const body: ConfigPatch = { ...Object.fromEntries(prompts), ...(accepts && { accept_regressions: true }) };
      const { data } = await call(client.PATCH("/api/v1/companies/me/config", { body }));
      queries.setQueryData(configQuery.queryKey, data);
      return valuesOf(data);
    },
    onSaved: () => void queries.invalidateQueries({ queryKey: ["config", "versions"] }),
  });
  return (
    <form noValidate className="grid gap-5" onSubmit={save.onSubmit}>
      {PROMPTS.map((name) => (
        <PromptCard key={name} name={name} form={draft.form} isInUse={(name === "prompt_rag") === (mode === "rag")} />
      ))}
      {save.bar}
    </form>
  );
}

function PromptCard({ name, form, isInUse }: { name: PromptName; form: UseFormReturn<PromptValues>; isInUse: boolean }) {
  const { settings } = useTexts("settings");
  const format = useFormat();
  const text = settings.prompts;
  const value = useWatch({ control: form.control, name });
  return (
    <Card>
      <CardHeader>
        <CardTitle>{text.names[name]}</CardTitle>
        <div className="flex gap-2">
          {value.trim() === "" && <Badge variant="outline">{text.standard}</Badge>}
          {isInUse && <Badge variant="success">{text.inUse}</Badge>}
        </div>
      </CardHeader>
      <CardContent>
        <Field
          label={text.label}
          hint={
            <>
              {text.hints[name]} {text.length(format.number(value.length), format.number(MAX_CHARS))}
            </>
          }
          error={form.formState.errors[name]?.message}
        >
          {(control) => (
            <Textarea {...control} dir="auto" className="max-h-[60dvh] min-h-32 font-mono" placeholder={text.placeholder} {...form.register(name)} />
          )}
        </Field>
      </CardContent>
    </Card>
  );
}
