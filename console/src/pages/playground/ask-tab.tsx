import { useQuery } from "@tanstack/react-query";
import { Eraser, SendHorizontal, Square } from "lucide-react";
import { type Ref, useId, useRef, useState } from "react";

import { FormError } from "@/layout/form-error";
import { sourceOf } from "@/lib/answer-source";
import { readStored, writeStored } from "@/lib/storage";
import { useStore } from "@/lib/store";
import { readyDocumentsQuery } from "@/pages/documents/queries";
import { useCompany, useFormat, useIsOwner } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Textarea } from "@/ui/input";
import { Spinner } from "@/ui/spinner";

import { AnswerSourceBadge } from "./answer-source-badge";
import { AnswerText } from "./answer-text";
import { CitationList } from "./citation-list";
import { ask, isAnswering, startOver, stopAnswer, type Turn, turns } from "./conversation";
import { Correction } from "./correction";
import { useFollow } from "./use-follow";

const DRAFT_KEY = "lisa.playground.question";
const MAX_QUESTION_CHARACTERS = 10_000;

/** A conversation with the assistant, as a customer has it. */
export function AskTab() {
  const { playground } = useTexts("playground");
  const list = useStore(turns);
  const newest = useRef<HTMLLIElement>(null);
  const count = list.length;
  const newestId = list.at(-1)?.id ?? null;
  useFollow(newest, newestId);
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-5">
      {count === 0 && <Examples />}
      {count > 0 && (
        <ol className="grid grid-cols-[minmax(0,1fr)] gap-6" aria-label={playground.conversation}>
          {list.map((turn) => (
            <TurnItem key={turn.id} turn={turn} {...(turn.id === newestId && { ref: newest })} />
          ))}
        </ol>
      )}
      <Composer />
    </div>
  );
}

function Examples() {
  const { playground } = useTexts("playground");
  const ready = useQuery(readyDocumentsQuery);
  return (
    <div className="grid gap-3 rounded-lg border bg-card px-5 py-4 text-sm">
      {ready.data !== undefined && <p>{ready.data > 0 ? playground.start : playground.startEmpty}</p>}
      <ul className="flex flex-wrap gap-2">
        {playground.examples.map((example) => (
          <li key={example}>
            <Button variant="outline" size="sm" className="h-auto max-w-full py-1.5 text-left whitespace-normal" onClick={() => void ask(example)}>
              {example}
            </Button>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Composer() {
  const { playground } = useTexts("playground");
  const id = useId();
  const { quota } = useCompany();
  const list = useStore(turns);
  const isBusy = isAnswering(list);
  const [question, setQuestion] = useState(() => readStored(DRAFT_KEY, "session") ?? "");
  const write = (text: string) => {
    setQuestion(text);
    writeStored(DRAFT_KEY, text === "" ? null : text, "session");
  };
  const submit = () => {
    const asked = question.trim();
    if (asked === "" || isBusy || Array.from(asked).length > MAX_QUESTION_CHARACTERS) return;
    write("");
    void ask(asked);
  };
  const length = Array.from(question).length;
  const left = Math.max(quota.free_quota_limit - quota.free_quota_used, 0);
  return (
    <form
      className="sticky bottom-0 grid gap-2 border-t bg-background py-3"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <label htmlFor={id} className="text-sm font-medium">
        {playground.question}
      </label>
      <div className="flex items-end gap-2">
        <Textarea
          id={id}
          dir="auto"
          rows={2}
          className="max-h-48 min-h-16 flex-1"
          value={question}
          aria-invalid={length > MAX_QUESTION_CHARACTERS || undefined}
          aria-describedby={`${id}-hint`}
          onChange={(event) => write(event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
            event.preventDefault();
            submit();
          }}
        />
        {isBusy ? (
          <Button variant="outline" onClick={stopAnswer}>
            <Square aria-hidden /> {playground.stop}
          </Button>
        ) : (
          <Button type="submit">
            <SendHorizontal aria-hidden /> {playground.send}
          </Button>
        )}
      </div>
      <div className="flex flex-wrap items-center justify-between gap-2 text-sm text-muted-foreground">
        <p id={`${id}-hint`}>
          {length > MAX_QUESTION_CHARACTERS ? (
            <span className="text-destructive">{playground.tooLong(MAX_QUESTION_CHARACTERS)}</span>
          ) : quota.is_pro ? (
            playground.costsOne
          ) : (
            playground.costsFree(left)
          )}
        </p>
        {list.length > 0 && (
          <Button variant="ghost" size="sm" onClick={startOver}>
            <Eraser aria-hidden /> {playground.startOver}
          </Button>
        )}
      </div>
    </form>
  );
}

function TurnItem({ turn, ref }: { turn: Turn; ref?: Ref<HTMLLIElement> }) {
  const { playground } = useTexts("playground");
  const isOwner = useIsOwner();
  const { answer, text, error, isStopped, totalMs } = turn;
  const isWaiting = totalMs === null;
  return (
    <li ref={ref} className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <p dir="auto" className="max-w-[85%] justify-self-end rounded-lg bg-accent px-4 py-2.5 [overflow-wrap:anywhere] whitespace-pre-wrap text-accent-foreground">
        {turn.question}
      </p>
      <div aria-busy={isWaiting} className="grid grid-cols-[minmax(0,1fr)] gap-3 rounded-lg border bg-card px-4 py-3">
        {isWaiting && text === "" && (
          <p className="flex items-center gap-2 text-sm text-muted-foreground">
            <Spinner /> {turn.found.length > 0 ? playground.reading(turn.found.length) : playground.searching}
          </p>
        )}
        {text !== "" && <AnswerText text={text} turnId={turn.id} citations={answer?.citations ?? turn.found} />}
        {isStopped && <p className="text-sm text-muted-foreground">{playground.stopped}</p>}
        <FormError error={error} />
        {/* Read out when it is whole: word by word would be noise. */}
        <p role="status" className="sr-only">
          {answer !== null && !isWaiting ? answer.answer : ""}
        </p>
        {answer !== null && sourceOf(answer) === "notFound" && <NotAnswered />}
        {answer !== null && <CitationList citations={answer.citations} turnId={turn.id} />}
        {answer !== null && <TurnFigures turn={turn} />}
        {answer !== null && !isWaiting && isOwner && sourceOf(answer) !== "courtesy" && <Correction turn={turn} answer={answer} />}
      </div>
    </li>
  );
}

function NotAnswered() {
  const { playground } = useTexts("playground");
  return <p className="rounded-md bg-warning-surface px-3 py-2 text-sm text-warning">{playground.notAnswered}</p>;
}

function TurnFigures({ turn }: { turn: Turn }) {
  const { playground } = useTexts("playground");
  const format = useFormat();
  const { answer, firstWordMs, totalMs } = turn;
  if (answer === null) return null;
  const tokens = answer.usage.prompt_tokens + answer.usage.completion_tokens;
  const isFree = answer.model === "courtesy" || answer.model === "none";
  const seconds = (ms: number) => format.number(Math.round(ms / 100) / 10);
  return (
    <p className="flex flex-wrap items-center gap-x-3 gap-y-1 text-sm text-muted-foreground">
      <AnswerSourceBadge answer={answer} />
      {totalMs !== null && <span>{playground.time(seconds(totalMs), firstWordMs === null ? null : seconds(firstWordMs))}</span>}
      <span>{isFree ? playground.free : playground.oneQuestion}</span>
      {tokens > 0 && <span>{playground.tokens(answer.usage.prompt_tokens, answer.usage.completion_tokens)}</span>}
    </p>
  );
}
