import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type SubmitEvent, useState } from "react";

import { call, client, type Schemas } from "@/api/client";
import { FormError } from "@/layout/form-error";
import { readStored, writeStored } from "@/lib/storage";
import { contextQuery, useCompany } from "@/session/company";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";
import { PathLink } from "@/ui/path-link";

import { askedQuery } from "./queries";

type Answer = Schemas["Answer"];
const MAX_CHARS = 2000;

/** A question to the company's documents, without leaving the page. */
export function AskStep({ hasDocument, isDone }: { hasDocument: boolean; isDone: boolean }) {
  const { start } = useTexts("start");
  const { tenant } = useCompany();
  const queries = useQueryClient();
  const draftName = `lisa.first-question ${tenant.id}`;
  const [question, setQuestion] = useState(() => readStored(draftName) ?? "");
  const ask = useMutation({
    mutationFn: async (text: string) => (await call(client.POST("/api/v1/query", { body: { question: text } }))).data,
    onSuccess: async () => {
      writeStored(draftName, null);
      // The question counts: the page shows how many are left.
      await Promise.all([askedQuery, contextQuery].map(({ queryKey }) => queries.invalidateQueries({ queryKey })));
    },
    meta: { showsError: true },
  });
  const submit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (question.trim() !== "" && !ask.isPending) ask.mutate(question.trim());
  };
  const write = (text: string) => {
    setQuestion(text);
    writeStored(draftName, text === "" ? null : text);
  };
  if (!hasDocument) return <p className="text-sm text-muted-foreground">{start.ask.needsDocument}</p>;
  return (
    <div className="grid min-w-0 gap-3 text-sm">
      <p className="text-muted-foreground">{start.ask.lead}</p>
      {isDone && ask.data === undefined && <p className="font-medium text-success">{start.ask.asked}</p>}
      <form noValidate className="flex flex-wrap items-end gap-2" onSubmit={submit}>
        <Field label={start.ask.question} className="min-w-0 flex-1 basis-60">
          {(control) => (
            <Input {...control} value={question} maxLength={MAX_CHARS} placeholder={start.ask.placeholder} onChange={(event) => write(event.target.value)} />
          )}
        </Field>
        <Button type="submit" isBusy={ask.isPending} disabled={question.trim() === ""}>
          {start.ask.action}
        </Button>
      </form>
      <FormError error={ask.error} />
      <div aria-live="polite">{ask.data && <AnswerBox answer={ask.data} />}</div>
    </div>
  );
}

function AnswerBox({ answer }: { answer: Answer }) {
  const { start } = useTexts("start");
  return (
    <Alert className="items-start">
      <div className="grid min-w-0 flex-1 gap-2">
        <p dir="auto" className="whitespace-pre-wrap [overflow-wrap:anywhere]">
          {answer.answer}
        </p>
        {!answer.answered && <p className="text-warning">{start.ask.notFound}</p>}
        {answer.citations.length > 0 && (
          <ul aria-label={start.ask.sources} className="grid gap-1 border-t pt-2 text-xs">
            {answer.citations.map(({ number, document_id, page, filename, location }) => (
              <li key={number} className="[overflow-wrap:anywhere]">
                <PathLink path={`/documents/${document_id}${page == null ? "" : `?page=${page}`}`}>{start.ask.place(filename, location)}</PathLink>
              </li>
            ))}
          </ul>
        )}
      </div>
    </Alert>
  );
}
