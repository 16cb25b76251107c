import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { CircleAlert, CircleCheck, FileUp, RotateCcw, X } from "lucide-react";

import { call, client } from "@/api/client";
import { ApiError } from "@/api/errors";
import { RequestId } from "@/layout/states";
import { textOfError } from "@/lib/error-text";
import { useStore } from "@/lib/store";
import { useFormat } from "@/session/company";
import { type BaseTexts, type Texts, useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Progress } from "@/ui/progress";
import { Spinner } from "@/ui/spinner";

import type { Refusal } from "./formats";
import { recentDocumentsQuery } from "./queries";
import { readingOf, type ReadingState } from "./upload-outcome";
import {
  cancelUpload,
  dismissSent,
  dismissUpload,
  isEnded,
  retryUpload,
  type SameName,
  settleSameName,
  uploads,
  type UploadTask,
} from "./uploads";

/** The uploads of this tab, each with its progress and its end. */
export function UploadList() {
  const { documents } = useTexts("documents");
  const tasks = useStore(uploads);
  const recent = useQuery({ ...recentDocumentsQuery, enabled: tasks.some(({ state }) => state === "sent") });
  const active = tasks.filter((task) => !isEnded(task)).length;
  return (
    <section aria-label={documents.uploads} className="empty:hidden">
      {tasks.length > 0 && (
        <div className="rounded-lg border bg-card">
          <div className="flex flex-wrap items-center justify-between gap-2 border-b px-4 py-2">
            <h2 className="text-sm font-semibold" aria-live="polite">
              {active > 0 ? documents.uploading(active) : documents.uploadsEnded}
            </h2>
            {active < tasks.length && (
              <Button variant="ghost" size="sm" onClick={dismissSent}>
                {documents.clearUploads}
              </Button>
            )}
          </div>
          <ul className="max-h-96 divide-y overflow-y-auto">
            {tasks.map((task) => (
              <UploadRow key={task.id} task={task} reading={task.state === "sent" ? readingOf(task, recent.data) : null} />
            ))}
          </ul>
        </div>
      )}
    </section>
  );
}

interface UploadProps {
  task: UploadTask;
  /** The state of the document once its file has arrived. */
  reading: ReadingState | null;
}

function UploadRow({ task, reading }: UploadProps) {
  const { documents, common } = useTexts("documents");
  const { file, state } = task;
  return (
    <li className="grid gap-2 px-4 py-3">
      <div className="flex items-start gap-3">
        <UploadIcon state={state} reading={reading} />
        <div className="grid min-w-0 flex-1 gap-1">
          <span className="text-sm font-medium break-words [overflow-wrap:anywhere]" dir="auto">
            {file.name}
          </span>
          <UploadStatus task={task} reading={reading} />
        </div>
        {(state === "failed" || state === "cancelled") && (
          <Button variant="outline" size="sm" aria-label={`${common.retry}: ${file.name}`} onClick={() => retryUpload(task.id)}>
            <RotateCcw aria-hidden /> {common.retry}
          </Button>
        )}
        <Button
          variant="ghost"
          size="icon"
          className="-my-1.5"
          aria-label={`${isEnded(task) ? common.dismiss : documents.cancelUpload}: ${file.name}`}
          onClick={() => (isEnded(task) ? dismissUpload(task.id) : cancelUpload(task.id))}
        >
          <X aria-hidden />
        </Button>
      </div>
      {task.documentId !== null && task.sameName[0] !== undefined && (
        <SameNameQuestion taskId={task.id} documentId={task.documentId} older={task.sameName[0]} />
      )}
    </li>
  );
}

function UploadIcon({ state, reading }: Pick<UploadTask, "state"> & Pick<UploadProps, "reading">) {
  const place = "mt-0.5 size-4 shrink-0";
  if (state === "failed" || state === "refused" || reading === "failed") return <CircleAlert aria-hidden className={`${place} text-destructive`} />;
  if (state === "sending" || state === "preparing") return <Spinner className="mt-0.5 shrink-0 text-muted-foreground" />;
  if (state === "sent" || state === "known") return <CircleCheck aria-hidden className={`${place} text-success`} />;
  return <FileUp aria-hidden className={`${place} text-muted-foreground`} />;
}

function UploadStatus({ task, reading }: UploadProps) {
  const all = useTexts("documents");
  const format = useFormat();
  const { documents } = all;
  const { state, file, sentBytes } = task;
  if (state === "refused" && task.refusal !== null) {
    return <p className="text-sm text-destructive">{textOfRefusal(task.refusal, documents)}</p>;
  }
  if (state === "failed") {
    return (
      <div className="text-sm text-destructive">
        {textOfUploadError(task.error, all)}
        <RequestId error={task.error} />
      </div>
    );
  }
  return (
    <>
      <p className="text-sm text-muted-foreground">
        {state === "sent" ? documents.readingStates[reading ?? "reading"] : documents.uploadStates[state]}
        {state === "sending" && sentBytes !== null && ` · ${documents.sentOf(format.bytes(sentBytes), format.bytes(file.size))}`}
        {task.replaces !== null && ` · ${documents.replaces(task.replaces.filename)}`}
      </p>
      {(state === "sending" || state === "preparing") && (
        <Progress label={documents.progressOf(file.name)} share={sentBytes === null ? null : sentBytes / Math.max(file.size, 1)} />
      )}
    </>
  );
}

function textOfRefusal(refusal: Refusal, documents: Texts["documents"]): string {
  switch (refusal.kind) {
    case "convert":
      return documents.refusals.convert(refusal.to);
    case "content":
      return documents.refusals.content(refusal.extension);
    case "empty":
      return documents.refusals.empty;
    case "too-large":
      return documents.refusals.tooLarge;
    case "long-name":
      return documents.refusals.longName;
    case "format":
      return documents.refusals.format;
    case "unreadable":
      return documents.refusals.unreadable;
  }
}

/** Returns the text of an upload's error. For a file of a wrong format, that is the server's advice, in the caller's language. */
function textOfUploadError(error: unknown, all: BaseTexts & Pick<Texts, "documents">): string {
  if (error instanceof ApiError && error.status === 415) return error.message;
  if (error instanceof ApiError && error.code === "upload_refused") return all.documents.refusals.storage;
  return textOfError(error, all);
}

/** Two files of one name are mostly two versions: asks whether the new one replaces the old one. */
function SameNameQuestion({ taskId, documentId, older }: { taskId: number; documentId: string; older: SameName }) {
  const { documents } = useTexts("documents");
  const format = useFormat();
  const queries = useQueryClient();
  const replace = useMutation({
    mutationFn: () =>
      call(client.POST("/api/v1/documents/{id}/replace", { params: { path: { id: documentId } }, body: { replaces: older.id } })),
    onSuccess: () => {
      settleSameName(taskId);
      return queries.invalidateQueries({ queryKey: ["documents"] });
    },
  });
  return (
    <div className="flex flex-wrap items-center gap-2 rounded-md bg-warning-surface px-3 py-2 text-sm text-warning">
      <span className="min-w-48 flex-1">{documents.sameName(format.dateTime(older.upload_date))}</span>
      <Button size="sm" isBusy={replace.isPending} onClick={() => replace.mutate()}>
        {documents.replaceOlder}
      </Button>
      <Button size="sm" variant="outline" className="text-foreground" onClick={() => settleSameName(taskId)}>
        {documents.keepBoth}
      </Button>
    </div>
  );
}
