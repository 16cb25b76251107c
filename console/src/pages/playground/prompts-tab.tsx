import { useInfiniteQuery, useMutation, useQuery } from "@tanstack/react-query";
import { FlaskConical, ListChecks } from "lucide-react";
import { useId, useState } from "react";

import { FormError } from "@/layout/form-error";
import { ErrorState, LoadingState } from "@/layout/states";
import { readStored, writeStored } from "@/lib/storage";
import { useCompany } from "@/session/company";
import { type Texts, useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Card, CardContent, CardTitle } from "@/ui/card";
import { Field } from "@/ui/field";
import { Input, Select, Textarea } from "@/ui/input";

import { GoldenComparison } from "./golden-comparison";
import { PreviewResult } from "./preview-result";
import { configQuery, goldenQuestionsQuery, MAX_PROMPT_CHARACTERS, preview, type PromptField } from "./queries";
import { SavePrompt } from "./save-prompt";

const FIELDS: readonly PromptField[] = ["prompt_rag", "prompt_botlive_groq_70b", "prompt_botlive_deepseek_v3"];

const labelOf = (field: PromptField, texts: Texts["playground"]) => texts.promptFields[field];

/** A draft of a prompt beside the one in force, tried with one question and with the golden questions. */
export function PromptsTab() {
  const config = useQuery(configQuery);
  const [field, setField] = useState<PromptField>("prompt_rag");
  if (config.isPending) return <LoadingState />;
  if (config.isError) return <ErrorState error={config.error} onRetry={() => void config.refetch()} />;
  return <Comparison key={field} field={field} live={config.data[field] ?? ""} onField={setField} />;
}

/** A draft that is kept over a reload, for each company and prompt. */
function useDraft(field: PromptField, live: string) {
  const { tenant } = useCompany();
  const key = `lisa.prompt-draft.${tenant.id}.${field}`;
  const [draft, setDraft] = useState(() => readStored(key) ?? live);
  const write = (text: string) => {
    setDraft(text);
    writeStored(key, text === live ? null : text);
  };
  return [draft, write] as const;
}

interface ComparisonProps {
  field: PromptField;
  live: string;
  onField: (field: PromptField) => void;
}

function Comparison({ field, live, onField }: ComparisonProps) {
  const { playground } = useTexts("playground");
  const [draft, setDraft] = useDraft(field, live);
  const isTooLong = Array.from(draft).length > MAX_PROMPT_CHARACTERS;
  const draftBody = { [field]: draft.trim() === "" ? null : draft };
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-5">
      <p className="max-w-2xl text-sm text-muted-foreground">{playground.promptsLead}</p>
      <Field label={playground.whichPrompt} className="max-w-md">
        {(control) => (
          <Select {...control} value={field} onChange={(event) => onField(event.target.value as PromptField)}>
            {FIELDS.map((known) => (
              <option key={known} value={known}>
                {labelOf(known, playground)}
              </option>
            ))}
          </Select>
        )}
      </Field>
      <div className="grid gap-4 md:grid-cols-2">
        <Field label={playground.live} hint={live === "" ? playground.noPrompt : undefined}>
          {(control) => <Textarea {...control} readOnly dir="auto" rows={6} className="max-h-80 bg-muted" value={live} />}
        </Field>
        <Field label={playground.draft} hint={playground.draftHint} error={isTooLong ? playground.promptTooLong(MAX_PROMPT_CHARACTERS) : undefined}>
          {(control) => <Textarea {...control} dir="auto" rows={6} className="max-h-80" value={draft} onChange={(event) => setDraft(event.target.value)} />}
        </Field>
      </div>
      <div className="flex flex-wrap gap-2">
        <Button variant="outline" disabled={draft === live} onClick={() => setDraft(live)}>
          {playground.dropDraft}
        </Button>
        <SavePrompt field={field} draft={draft} isChanged={draft !== live && !isTooLong} />
      </div>
      <QuestionRun field={field} draftBody={draftBody} isDisabled={isTooLong} />
      {field === "prompt_rag" && <GoldenRunCard draftBody={draftBody} isDisabled={isTooLong} />}
    </div>
  );
}

interface RunProps {
  draftBody: Record<string, string | null>;
  isDisabled: boolean;
}

function QuestionRun({ field, draftBody, isDisabled }: RunProps & { field: PromptField }) {
  const { playground } = useTexts("playground");
  const id = useId();
  const [question, setQuestion] = useState("");
  const mode = field === "prompt_rag" ? ("rag" as const) : ("live" as const);
  const run = useMutation({
    meta: { showsError: true },
    mutationFn: async (asked: string) => {
      // One after the other: the second would count against the first one's limits at the same moment.
      const live = await preview({ question: asked, mode });
      return { live, draft: await preview({ question: asked, mode, draft: draftBody }) };
    },
  });
  return (
    <Card>
      <CardContent className="grid grid-cols-[minmax(0,1fr)] gap-4">
        <CardTitle>{playground.tryQuestion}</CardTitle>
        <form
          className="flex flex-wrap items-end gap-2"
          onSubmit={(event) => {
            event.preventDefault();
            if (question.trim() !== "" && !run.isPending) run.mutate(question.trim());
          }}
        >
          <div className="min-w-0 flex-1 basis-60">
            <label htmlFor={id} className="sr-only">
              {playground.question}
            </label>
            <Input id={id} dir="auto" maxLength={10_000} value={question} placeholder={playground.examples[0]} onChange={(event) => setQuestion(event.target.value)} />
          </div>
          <Button type="submit" disabled={isDisabled} isBusy={run.isPending}>
            <FlaskConical aria-hidden /> {playground.compare}
          </Button>
        </form>
        <p className="text-sm text-muted-foreground">{playground.previewCost}</p>
        <FormError error={run.error} />
        {run.isPending && <LoadingState rows={2} />}
        {run.isSuccess && (
          <div role="status" className="grid gap-4 md:grid-cols-2">
            <PreviewResult title={playground.live} result={run.data.live} />
            <PreviewResult title={playground.draft} result={run.data.draft} />
          </div>
        )}
      </CardContent>
    </Card>
  );
}

function GoldenRunCard({ draftBody, isDisabled }: RunProps) {
  const { playground } = useTexts("playground");
  const golden = useInfiniteQuery(goldenQuestionsQuery);
  const count = golden.data?.pages[0]?.meta.total ?? 0;
  const run = useMutation({
    meta: { showsError: true },
    mutationFn: async () => {
      const live = await preview({ golden: true });
      return { live: live.golden, draft: (await preview({ golden: true, draft: draftBody })).golden };
    },
  });
  return (
    <Card>
      <CardContent className="grid grid-cols-[minmax(0,1fr)] gap-4">
        <CardTitle>{playground.golden}</CardTitle>
        <p className="text-sm text-muted-foreground">{count === 0 ? playground.noGoldenHint : playground.goldenRunLead(count)}</p>
        <Button className="justify-self-start" disabled={count === 0 || isDisabled} isBusy={run.isPending} onClick={() => run.mutate()}>
          <ListChecks aria-hidden /> {playground.runGolden}
        </Button>
        <FormError error={run.error} />
        {run.isPending && <LoadingState rows={3} />}
        {run.isSuccess && run.data.live !== null && run.data.draft !== null && <GoldenComparison live={run.data.live} draft={run.data.draft} />}
      </CardContent>
    </Card>
  );
}
