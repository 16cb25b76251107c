import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { BookOpenCheck, Download, Plus, Upload } from "lucide-react";
import { lazy, Suspense, useState } from "react";

import { type ApprovedAnswer, approvedAnswersQuery } from "@/answers/queries";
import { callEmpty, client, send } from "@/api/client";
import { FormError } from "@/layout/form-error";
import { LoadMore } from "@/layout/load-more";
import { EmptyState, ErrorState, LoadingState } from "@/layout/states";
import { showDone } from "@/layout/toasts";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/dialog";

// Their forms need more code than the list: they are loaded when they are opened.
const AnswerDialog = lazy(() => import("@/answers/answer-dialog").then(({ AnswerDialog: component }) => ({ default: component })));
const ImportDialog = lazy(() => import("./import-dialog").then(({ ImportDialog: component }) => ({ default: component })));

type Open = { kind: "new" } | { kind: "import" } | { kind: "edit" | "delete"; answer: ApprovedAnswer };

/** The approved answers: list, add, edit, delete, import and export. */
export function AnswersTab() {
  const { unanswered } = useTexts("unanswered");
  const list = useInfiniteQuery(approvedAnswersQuery);
  const [open, setOpen] = useState<Open | null>(null);
  const answers = list.data?.pages.flatMap((page) => page.data) ?? [];
  const total = list.data?.pages[0]?.meta.total ?? 0;
  const close = () => setOpen(null);
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-4">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <p className="text-sm text-muted-foreground">{total > 0 ? unanswered.answersCount(total) : unanswered.answersLead}</p>
        <div className="flex flex-wrap gap-2">
          <Button variant="outline" size="sm" onClick={() => setOpen({ kind: "import" })}>
            <Upload aria-hidden /> {unanswered.import}
          </Button>
          <ExportButton isEmpty={answers.length === 0} />
          <Button size="sm" onClick={() => setOpen({ kind: "new" })}>
            <Plus aria-hidden /> {unanswered.newAnswer}
          </Button>
        </div>
      </div>
      {list.isPending && <LoadingState />}
      {list.isError && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
      {list.isSuccess && answers.length === 0 && (
        <EmptyState icon={BookOpenCheck} title={unanswered.noAnswers}>
          <p>{unanswered.noAnswersHint}</p>
        </EmptyState>
      )}
      {answers.length > 0 && (
        <ul className="divide-y rounded-lg border bg-card">
          {answers.map((answer) => (
            <AnswerRow key={answer.id} answer={answer} onOpen={setOpen} />
          ))}
        </ul>
      )}
      <LoadMore list={list} />
      <Suspense>
        {open?.kind === "new" && <AnswerDialog title={unanswered.newAnswer} stored={null} onClose={close} />}
        {open?.kind === "edit" && <AnswerDialog title={unanswered.editAnswer} stored={open.answer} onClose={close} />}
        {open?.kind === "import" && <ImportDialog onClose={close} />}
      </Suspense>
      {open?.kind === "delete" && <DeleteAnswer answer={open.answer} onClose={close} />}
    </div>
  );
}

function AnswerRow({ answer, onOpen }: { answer: ApprovedAnswer; onOpen: (open: Open) => void }) {
  const { unanswered, common, layout } = useTexts("unanswered");
  const format = useFormat();
  return (
    <li className="flex flex-wrap items-start gap-x-4 gap-y-2 px-4 py-3">
      <div className="grid min-w-0 flex-1 basis-60 gap-1">
        <p dir="auto" className="line-clamp-3 font-medium [overflow-wrap:anywhere]">
          {answer.question}
        </p>
        <p dir="auto" className="line-clamp-4 text-sm [overflow-wrap:anywhere] whitespace-pre-line">
          {answer.answer}
        </p>
        <p className="flex flex-wrap items-center gap-2 text-sm text-muted-foreground">
          <Badge variant="outline">{answer.language === "en" ? layout.languages.en : layout.languages.fr}</Badge>
          {unanswered.changed(format.dateTime(answer.updated_at))}
        </p>
      </div>
      <div className="flex gap-2">
        <Button variant="outline" size="sm" aria-label={`${common.edit}: ${answer.question.slice(0, 80)}`} onClick={() => onOpen({ kind: "edit", answer })}>
          {common.edit}
        </Button>
        <Button variant="ghost" size="sm" aria-label={`${common.delete}: ${answer.question.slice(0, 80)}`} onClick={() => onOpen({ kind: "delete", answer })}>
          {common.delete}
        </Button>
      </div>
    </li>
  );
}

function DeleteAnswer({ answer, onClose }: { answer: ApprovedAnswer; onClose: () => void }) {
  const { unanswered, common } = useTexts("unanswered");
  const queries = useQueryClient();
  const remove = useMutation({
    meta: { showsError: true },
    mutationFn: () => callEmpty(client.DELETE("/api/v1/approved-answers/{id}", { params: { path: { id: answer.id } } })),
    onSuccess: async () => {
      showDone(unanswered.answerDeleted);
      onClose();
      await Promise.all(["approved-answers", "golden-questions"].map((name) => queries.invalidateQueries({ queryKey: [name] })));
    },
  });
  return (
    <ConfirmDialog
      title={unanswered.deleteTitle}
      confirm={common.delete}
      isBusy={remove.isPending}
      onConfirm={() => remove.mutate()}
      onClose={onClose}
      text={
        <div className="grid gap-3">
          <p dir="auto" className="max-h-40 overflow-y-auto font-medium [overflow-wrap:anywhere]">
            {answer.question}
          </p>
          <p>{unanswered.deleteText}</p>
          <FormError error={remove.error} />
        </div>
      }
    />
  );
}

/** Saves all approved answers as a CSV file. */
function ExportButton({ isEmpty }: { isEmpty: boolean }) {
  const { unanswered } = useTexts("unanswered");
  const download = useMutation({
    mutationFn: async () => (await send(new Request(`${window.location.origin}/api/v1/approved-answers/export`))).blob(),
    onSuccess: (file) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(file);
      link.download = unanswered.exportName;
      link.click();
      URL.revokeObjectURL(link.href);
    },
  });
  return (
    <Button variant="outline" size="sm" disabled={isEmpty} isBusy={download.isPending} onClick={() => download.mutate()}>
      <Download aria-hidden /> {unanswered.export}
    </Button>
  );
}
