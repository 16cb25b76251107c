import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { ErrorState, LoadingState } from "@/layout/states";
import { pageTextQuery } from "@/pages/documents/contents";
import { documentsQuery } from "@/pages/documents/queries";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { Input, Select } from "@/ui/input";

/** Chooses a passage of a document as an answer: the document, its page, then the passage. */
export function PassagePicker({ onUse, onClose }: { onUse: (passage: string) => void; onClose: () => void }) {
  const { unanswered, common } = useTexts("unanswered");
  const list = useInfiniteQuery(documentsQuery("processed", "filename"));
  const documents = list.data?.pages.flatMap((page) => page.data) ?? [];
  const [chosenId, choose] = useState<string | null>(null);
  const [page, setPage] = useState(1);
  const document = documents.find(({ id }) => id === chosenId) ?? documents[0];
  const total = document?.pages_total ?? 1;
  return (
    <section aria-label={unanswered.fromDocument} className="grid grid-cols-[minmax(0,1fr)] gap-3 rounded-md border px-4 py-3">
      {list.isPending && <LoadingState rows={2} />}
      {list.isError && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
      {list.isSuccess && document === undefined && <p className="text-sm">{unanswered.noDocuments}</p>}
      {document !== undefined && (
        <>
          <div className="flex flex-wrap items-end gap-3">
            <Field label={unanswered.document} className="min-w-0 flex-1 basis-52">
              {(control) => (
                <Select
                  {...control}
                  value={document.id}
                  onChange={(event) => {
                    choose(event.target.value);
                    setPage(1);
                  }}
                >
                  {documents.map(({ id, filename }) => (
                    <option key={id} value={id}>
                      {filename}
                    </option>
                  ))}
                </Select>
              )}
            </Field>
            <Field label={unanswered.pageOf(total)} className="w-28">
              {(control) => (
                <Input
                  {...control}
                  type="number"
                  min={1}
                  max={total}
                  value={page}
                  onChange={(event) => setPage(Math.min(Math.max(Math.trunc(Number(event.target.value)) || 1, 1), total))}
                />
              )}
            </Field>
            {list.hasNextPage && (
              <Button variant="outline" isBusy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
                {unanswered.moreDocuments}
              </Button>
            )}
          </div>
          <Passages documentId={document.id} page={page} onUse={onUse} />
        </>
      )}
      <Button variant="ghost" size="sm" className="justify-self-start" onClick={onClose}>
        {common.close}
      </Button>
    </section>
  );
}

function Passages({ documentId, page, onUse }: { documentId: string; page: number; onUse: (passage: string) => void }) {
  const { unanswered, document: texts } = useTexts("unanswered", "document");
  const text = useQuery(pageTextQuery(documentId, page));
  if (text.isPending) return <LoadingState rows={2} />;
  if (text.isError) return <ErrorState error={text.error} onRetry={() => void text.refetch()} />;
  if (text.data.passages.length === 0) return <p className="text-sm text-muted-foreground">{texts.emptyPage}</p>;
  return (
    <ul className="grid max-h-72 gap-2 overflow-y-auto">
      {text.data.passages.map((passage, at) => (
        <li key={`${page} ${at}`} className="flex flex-wrap items-start justify-between gap-2 rounded-md border bg-card px-3 py-2 text-sm">
          <p dir="auto" className="min-w-0 flex-1 basis-52 [overflow-wrap:anywhere] whitespace-pre-line">
            {passage}
          </p>
          <Button variant="outline" size="sm" aria-label={`${unanswered.usePassage}: ${passage.slice(0, 60)}`} onClick={() => onUse(passage)}>
            {unanswered.usePassage}
          </Button>
        </li>
      ))}
    </ul>
  );
}
