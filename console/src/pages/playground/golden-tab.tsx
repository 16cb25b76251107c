import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Award, Plus } from "lucide-react";
import { useState } from "react";

import { call, callEmpty, client } from "@/api/client";
import { FormError } from "@/layout/form-error";
import { LoadMore } from "@/layout/load-more";
import { EmptyState, ErrorState, LoadingState } from "@/layout/states";
import { showDone } from "@/layout/toasts";
import { documentsQuery } from "@/pages/documents/queries";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { ConfirmDialog, Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Input, Select, Textarea } from "@/ui/input";

import { type GoldenQuestion, goldenQuestionsQuery, MAX_GOLDEN_QUESTIONS } from "./queries";

/** The golden questions: what must stay right whatever the prompt. */
export function GoldenTab() {
  const { playground } = useTexts("playground");
  const list = useInfiniteQuery(goldenQuestionsQuery);
  const [open, setOpen] = useState<{ kind: "new" } | { kind: "delete"; question: GoldenQuestion } | null>(null);
  const questions = list.data?.pages.flatMap((page) => page.data) ?? [];
  const close = () => setOpen(null);
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-4">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <p className="max-w-2xl text-sm text-muted-foreground">{playground.goldenLead(questions.length, MAX_GOLDEN_QUESTIONS)}</p>
        <Button size="sm" onClick={() => setOpen({ kind: "new" })}>
          <Plus aria-hidden /> {playground.newGolden}
        </Button>
      </div>
      {list.isPending && <LoadingState />}
      {list.isError && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
      {list.isSuccess && questions.length === 0 && (
        <EmptyState icon={Award} title={playground.noGolden}>
          <p>{playground.noGoldenHint}</p>
        </EmptyState>
      )}
      {questions.length > 0 && (
        <ul className="divide-y rounded-lg border bg-card">
          {questions.map((question) => (
            <GoldenRow key={question.id} question={question} onDelete={() => setOpen({ kind: "delete", question })} />
          ))}
        </ul>
      )}
      <LoadMore list={list} />
      {open?.kind === "new" && <NewGoldenQuestion onClose={close} />}
      {open?.kind === "delete" && <DeleteGolden question={open.question} onClose={close} />}
    </div>
  );
}

function GoldenRow({ question, onDelete }: { question: GoldenQuestion; onDelete: () => void }) {
  const { playground, common } = useTexts("playground");
  const format = useFormat();
  const { last_passed: passed, last_run_at: runAt, document_id: documentId, page } = question;
  return (
    <li className="flex flex-wrap items-start gap-x-4 gap-y-2 px-4 py-3">
      <div className="grid min-w-0 flex-1 basis-60 gap-1">
        <p dir="auto" className="font-medium [overflow-wrap:anywhere]">
          {question.question}
        </p>
        <p className="flex flex-wrap items-center gap-2 text-sm text-muted-foreground">
          {passed != null && <Badge variant={passed ? "success" : "destructive"}>{passed ? playground.passed : playground.failed}</Badge>}
          {runAt == null ? playground.notRun : playground.ranOn(format.dateTime(runAt))}
          {documentId == null ? (
            <Link to="/unanswered" search={{ tab: "answers" }} className="underline underline-offset-2">
              {playground.expectsApproved}
            </Link>
          ) : (
            <Link to="/documents/$documentId" params={{ documentId }} search={page == null ? {} : { page }} className="underline underline-offset-2">
              {playground.expectsDocument(page ?? null)}
            </Link>
          )}
        </p>
      </div>
      <Button variant="ghost" size="sm" aria-label={`${common.delete}: ${question.question.slice(0, 80)}`} onClick={onDelete}>
        {common.delete}
      </Button>
    </li>
  );
}

function DeleteGolden({ question, onClose }: { question: GoldenQuestion; onClose: () => void }) {
  const { playground, common } = useTexts("playground");
  const queries = useQueryClient();
  const remove = useMutation({
    meta: { showsError: true },
    mutationFn: () => callEmpty(client.DELETE("/api/v1/golden-questions/{id}", { params: { path: { id: question.id } } })),
    onSuccess: () => {
      onClose();
      return queries.invalidateQueries({ queryKey: ["golden-questions"] });
    },
  });
  return (
    <ConfirmDialog
      title={playground.deleteGolden}
      confirm={common.delete}
      isBusy={remove.isPending}
      onConfirm={() => remove.mutate()}
      onClose={onClose}
      text={
        <div className="grid gap-3">
          <p dir="auto" className="font-medium [overflow-wrap:anywhere]">
            {question.question}
          </p>
          <p>{playground.deleteGoldenText}</p>
          <FormError error={remove.error} />
        </div>
      }
    />
  );
}

/** A question with the document, and if wanted the page, that its answer must cite. */
function NewGoldenQuestion({ onClose }: { onClose: () => void }) {
  const { playground, common, unanswered } = useTexts("playground", "unanswered");
  const queries = useQueryClient();
  const documents = useInfiniteQuery(documentsQuery("processed", "filename"));
  const items = documents.data?.pages.flatMap((each) => each.data) ?? [];
  const [question, setQuestion] = useState("");
  const [chosenId, choose] = useState<string | null>(null);
  const [page, setPage] = useState("");
  const document = items.find(({ id }) => id === chosenId) ?? items[0];
  const save = useMutation({
    meta: { showsError: true },
    mutationFn: (documentId: string) =>
      call(
        client.POST("/api/v1/golden-questions", {
          body: { question: question.trim(), document_id: documentId, ...(page !== "" && { page: Number(page) }) },
        }),
      ),
    onSuccess: () => {
      showDone(playground.goldenAdded);
      onClose();
      return queries.invalidateQueries({ queryKey: ["golden-questions"] });
    },
  });
  const isReady = question.trim() !== "" && document !== undefined;
  return (
    <Dialog
      title={playground.newGolden}
      onClose={onClose}
      actions={
        <>
          <Button variant="outline" onClick={onClose}>
            {common.cancel}
          </Button>
          <Button disabled={!isReady} isBusy={save.isPending} onClick={() => document !== undefined && save.mutate(document.id)}>
            {common.save}
          </Button>
        </>
      }
    >
      <div className="grid grid-cols-[minmax(0,1fr)] gap-4">
        <Field label={playground.question}>
          {(control) => <Textarea {...control} dir="auto" maxLength={1_000} value={question} onChange={(event) => setQuestion(event.target.value)} />}
        </Field>
        {documents.isSuccess && items.length === 0 && <p className="text-sm">{unanswered.noDocuments}</p>}
        {document !== undefined && (
          <>
            <Field label={playground.expectedDocument}>
              {(control) => (
                <Select {...control} value={document.id} onChange={(event) => choose(event.target.value)}>
                  {items.map(({ id, filename }) => (
                    <option key={id} value={id}>
                      {filename}
                    </option>
                  ))}
                </Select>
              )}
            </Field>
            {documents.hasNextPage && (
              <Button variant="outline" size="sm" className="justify-self-start" isBusy={documents.isFetchingNextPage} onClick={() => void documents.fetchNextPage()}>
                {unanswered.moreDocuments}
              </Button>
            )}
            <Field label={playground.expectedPage} isOptional>
              {(control) => (
                <Input {...control} className="w-28" type="number" min={1} max={document.pages_total ?? undefined} value={page} onChange={(event) => setPage(event.target.value)} />
              )}
            </Field>
          </>
        )}
        <FormError error={save.error} />
      </div>
    </Dialog>
  );
}
