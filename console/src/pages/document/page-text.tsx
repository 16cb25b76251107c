import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { ScanText, SearchX } from "lucide-react";

import { ApiError } from "@/api/errors";
import { EmptyState, ErrorState, LoadingState } from "@/layout/states";
import { type PageText, pageTextQuery } from "@/pages/documents/contents";
import type { DocumentItem } from "@/pages/documents/queries";
import { UnreadPages } from "@/pages/documents/unread-pages";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";

/** The text that was read from a page: what answers know of it. */
export function PageTextPane({ document, page }: { document: DocumentItem; page: number }) {
  const { document: texts } = useTexts("document");
  const text = useQuery({ ...pageTextQuery(document.id, page), placeholderData: keepPreviousData, enabled: document.status === "processed" });
  return (
    // The scrolled part must be reachable by keyboard.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <section aria-label={texts.textTitle} tabIndex={0} className="grid h-full content-start gap-4 overflow-y-auto px-4 py-4 sm:px-6">
      <div>
        <h2 className="text-base font-semibold">{texts.textTitle}</h2>
        <p className="mt-1 text-sm text-muted-foreground">{texts.textLead}</p>
      </div>
      <UnreadPages document={document} />
      {document.status === "pending" && <EmptyState icon={ScanText} title={texts.notReadYet} />}
      {document.status === "failed" && <EmptyState icon={SearchX} title={texts.nothingRead} />}
      {document.status === "processed" && text.isPending && <LoadingState rows={3} />}
      {text.isError && <PageTextError error={text.error} onRetry={() => void text.refetch()} />}
      {text.isSuccess && <Passages text={text.data} isOld={text.isPlaceholderData} />}
    </section>
  );
}

/** A page behind the end of the file is not an error of the console. */
function PageTextError({ error, onRetry }: { error: Error; onRetry: () => void }) {
  const { document: texts } = useTexts("document");
  if (error instanceof ApiError && error.status === 404) return <EmptyState icon={SearchX} title={texts.noSuchPage} />;
  return <ErrorState error={error} onRetry={onRetry} />;
}

function Passages({ text, isOld }: { text: PageText; isOld: boolean }) {
  const { document: texts } = useTexts("document");
  const format = useFormat();
  return (
    <div className="grid gap-3" aria-busy={isOld}>
      {!text.is_complete && (
        <Alert variant="warning" role="status">
          {text.passages.length > 0 ? texts.incomplete : texts.unread}
        </Alert>
      )}
      {text.reader !== "file" && (
        <p className="flex items-center gap-2 text-sm text-muted-foreground">
          <ScanText aria-hidden className="size-4 shrink-0" />
          {texts.readers[text.reader]}
          {text.confidence != null && ` ${texts.confidence(format.percent(text.confidence))}`}
        </p>
      )}
      {text.passages.length === 0 && text.is_complete && <p className="text-sm text-muted-foreground">{texts.emptyPage}</p>}
      {text.passages.map((passage, at) => (
        <blockquote
          key={`${text.page} ${at}`}
          dir="auto"
          className="rounded-md border bg-card px-4 py-3 text-sm leading-relaxed [overflow-wrap:anywhere] whitespace-pre-wrap"
        >
          {passage}
        </blockquote>
      ))}
    </div>
  );
}
