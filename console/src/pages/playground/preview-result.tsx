import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";

import { AnswerSourceBadge } from "./answer-source-badge";
import { AnswerText } from "./answer-text";
import { CitationList } from "./citation-list";
import type { TimedPreview } from "./queries";

/** The answer of a preview, with what it took. */
export function PreviewResult({ title, result }: { title: string; result: TimedPreview }) {
  const { playground } = useTexts("playground");
  const format = useFormat();
  const { answer, ms } = result;
  if (answer === null) return null;
  const id = title.replace(/\W+/g, "-");
  return (
    <section aria-label={title} className="grid grid-cols-[minmax(0,1fr)] content-start gap-3 rounded-md border px-4 py-3">
      <h3 className="text-sm font-semibold">{title}</h3>
      <AnswerText text={answer.answer} turnId={id} citations={answer.citations} />
      <p className="flex flex-wrap items-center gap-x-3 gap-y-1 text-sm text-muted-foreground">
        {answer.answered && <Badge variant="success">{playground.answered}</Badge>}
        {answer.action !== "answer" && <Badge variant="outline">{playground.actions[answer.action]}</Badge>}
        <AnswerSourceBadge answer={answer} />
        <span>{playground.time(format.number(Math.round(ms / 100) / 10), null)}</span>
        {answer.usage.prompt_tokens > 0 && <span>{playground.tokens(answer.usage.prompt_tokens, answer.usage.completion_tokens)}</span>}
      </p>
      {answer.usage.prompt_tokens === 0 && <p className="text-sm text-muted-foreground">{playground.noPromptTold}</p>}
      <CitationList citations={answer.citations} turnId={id} />
    </section>
  );
}
