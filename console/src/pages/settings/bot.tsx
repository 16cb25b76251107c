import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { Controller } from "react-hook-form";
import { z } from "zod";

import { call, client } from "@/api/client";
import { showDone } from "@/layout/toasts";
import { useCompany } from "@/session/company";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";
import { Field } from "@/ui/field";
import { Input, Select, Textarea } from "@/ui/input";

import { type BotValues, keywordsOf, patchOf, valuesOfConfig } from "./bot-values";
import { useDraftForm } from "./draft-form";
import { type Config, configQuery } from "./queries";
import { useSave } from "./save";
import { Loaded, Section } from "./section";
import { SwitchField } from "./switch-field";

const MAX_KEYWORDS = 50;
const MAX_KEYWORD_CHARS = 50;

/** The assistant: its mode, its name, how it behaves and when it hands over. */
export function BotSection() {
  const config = useQuery(configQuery);
  return (
    <Section name="bot">
      <ModeCard />
      <Loaded query={config}>{(data) => <BotForm config={data} />}</Loaded>
    </Section>
  );
}

/** Switches between selling and answering. It takes effect at once, so it is apart from the form. */
function ModeCard() {
  const { settings, layout } = useTexts("settings");
  const { mode } = useCompany();
  const queries = useQueryClient();
  const isLive = mode === "live";
  const change = useMutation({
    mutationFn: async (enabled: boolean) => (await call(client.POST("/api/v1/toggle-live-mode", { body: { enabled } }))).data,
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["context"] });
      showDone(settings.bot.modeChanged);
    },
  });
  const warning = change.data?.mode === mode ? change.data.warning : null;
  return (
    <Card>
      <CardHeader>
        <CardTitle>{settings.bot.mode}</CardTitle>
        <Badge variant={isLive ? "success" : "outline"}>{isLive ? layout.live : layout.rag}</Badge>
      </CardHeader>
      <CardContent className="grid gap-3">
        <p className="text-sm text-muted-foreground">{isLive ? settings.bot.liveHint : settings.bot.ragHint}</p>
        {warning !== null && (
          <Alert variant="warning" role="status">
            {settings.bot.liveWithoutModel}
          </Alert>
        )}
        <Button variant="outline" className="justify-self-start" isBusy={change.isPending} onClick={() => change.mutate(!isLive)}>
          {isLive ? settings.bot.switchToRag : settings.bot.switchToLive}
        </Button>
      </CardContent>
    </Card>
  );
}

function useSchema() {
  const { settings, common } = useTexts("settings");
  return useMemo(
    () =>
      z.object({
        ai_name: z.string().trim().min(1, common.required).max(100),
        show_sources: z.boolean(),
        unsupported_messages: z.string(),
        handover_keywords: z
          .string()
          .refine((text) => keywordsOf(text).length <= MAX_KEYWORDS, settings.bot.tooManyKeywords(MAX_KEYWORDS))
          .refine((text) => keywordsOf(text).every((word) => Array.from(word).length <= MAX_KEYWORD_CHARS), settings.bot.keywordTooLong(MAX_KEYWORD_CHARS)),
        handover_minutes: z.number(settings.bot.minutesRange).int(settings.bot.minutesRange).min(1, settings.bot.minutesRange).max(10_080, settings.bot.minutesRange),
      }),
    [settings, common],
  );
}

function BotForm({ config }: { config: Config }) {
  const { settings } = useTexts("settings");
  const text = settings.bot;
  const queries = useQueryClient();
  const saved = useMemo(() => valuesOfConfig(config), [config]);
  const draft = useDraftForm<BotValues>("bot", saved, zodResolver(useSchema()));
  const { form } = draft;
  const { errors } = form.formState;
  const save = useSave({
    draft,
    labels: {
      ai_name: text.name,
      show_sources: text.showSources,
      unsupported_messages: text.unsupported,
      handover_keywords: text.keywords,
      handover_minutes: text.minutes,
    },
    send: async (changes, accepts) => {
      const body = { ...patchOf(changes), ...(accepts && { accept_regressions: true }) };
      const { data } = await call(client.PATCH("/api/v1/companies/me/config", { body }));
      queries.setQueryData(configQuery.queryKey, data);
      return valuesOfConfig(data);
    },
    onSaved: () => void queries.invalidateQueries({ queryKey: ["config", "versions"] }),
  });
  return (
    <form noValidate className="grid gap-5" onSubmit={save.onSubmit}>
      <Card>
        <CardContent className="grid gap-5">
          <Field label={text.name} hint={text.nameHint} error={errors.ai_name?.message}>
            {(control) => <Input {...control} maxLength={100} className="max-w-md" autoComplete="off" {...form.register("ai_name")} />}
          </Field>
          <Controller
            control={form.control}
            name="show_sources"
            render={({ field }) => (
              <SwitchField label={text.showSources} hint={text.showSourcesHint} isOn={field.value} onChange={field.onChange} />
            )}
          />
          <Field label={text.unsupported} hint={text.unsupportedHint}>
            {(control) => (
              <Select {...control} className="max-w-md" {...form.register("unsupported_messages")}>
                <option value="reply">{text.unsupportedReply}</option>
                <option value="hand_over">{text.unsupportedHandOver}</option>
              </Select>
            )}
          </Field>
        </CardContent>
      </Card>
      <Card>
        <CardHeader>
          <CardTitle>{text.handover}</CardTitle>
        </CardHeader>
        <CardContent className="grid gap-5">
          <Field label={text.keywords} hint={text.keywordsHint} error={errors.handover_keywords?.message}>
            {(control) => <Textarea {...control} dir="auto" className="max-w-md" {...form.register("handover_keywords")} />}
          </Field>
          <Field label={text.minutes} hint={text.minutesHint} error={errors.handover_minutes?.message}>
            {(control) => (
              <Input
                {...control}
                type="number"
                inputMode="numeric"
                min={1}
                max={10_080}
                className="max-w-32"
                {...form.register("handover_minutes", { valueAsNumber: true })}
              />
            )}
          </Field>
        </CardContent>
      </Card>
      {save.bar}
    </form>
  );
}
