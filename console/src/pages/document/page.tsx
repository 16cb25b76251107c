import { useMutation, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { ArrowLeft, Download, Trash2 } from "lucide-react";
import { useState } from "react";

import { cn } from "@/lib/cn";
import { Page } from "@/layout/page";
import { ErrorState, LoadingState } from "@/layout/states";
import { fileLink } from "@/pages/documents/contents";
import { DeleteDocument } from "@/pages/documents/delete-document";
import { DocumentStatusBadge } from "@/pages/documents/document-status";
import { type DocumentItem, documentQuery } from "@/pages/documents/queries";
import { useIsOwner } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";

import { PageNavigation } from "./page-navigation";
import { PageTextPane } from "./page-text";
import { PdfPane } from "./pdf-pane";

const route = getRouteApi("/app/documents/$documentId");

export function DocumentPage() {
  const { document: texts } = useTexts("document");
  const { documentId } = route.useParams();
  const document = useQuery(documentQuery(documentId));
  if (document.data === undefined) {
    return (
      <Page title={texts.title}>
        {document.isPending && <LoadingState rows={8} />}
        {document.isError && <ErrorState error={document.error} onRetry={() => void document.refetch()} />}
      </Page>
    );
  }
  return <LoadedDocument key={documentId} document={document.data} />;
}

function LoadedDocument({ document }: { document: DocumentItem }) {
  const { document: texts } = useTexts("document");
  const { page = 1 } = route.useSearch();
  const navigate = route.useNavigate();
  const [pagesInFile, setPagesInFile] = useState<number | null>(null);
  const [shownPane, setShownPane] = useState<"file" | "text">("file");
  const total = document.pages_total ?? pagesInFile;
  const isPdf = document.format === "pdf";
  const turn = (to: number) => {
    const clamped = Math.min(Math.max(to, 1), total ?? 1);
    void navigate({ search: clamped > 1 ? { page: clamped } : {}, replace: true });
  };
  return (
    <Page
      isFull
      title={document.filename}
      lead={<DocumentLead document={document} />}
      actions={<DocumentActions document={document} />}
    >
      <div className="flex flex-wrap items-center justify-between gap-2 border-b px-4 py-2 sm:px-6">
        <PageNavigation page={page} total={total} isPdf={isPdf} onTurn={turn} />
        {isPdf && (
          <div role="group" aria-label={texts.view} className="flex gap-1 rounded-md bg-muted p-1 md:hidden">
            {(["file", "text"] as const).map((pane) => (
              <button
                key={pane}
                type="button"
                aria-pressed={shownPane === pane}
                className={cn("rounded-sm px-3 py-1 text-sm font-medium text-muted-foreground", shownPane === pane && "bg-card text-foreground shadow-sm")}
                onClick={() => setShownPane(pane)}
              >
                {pane === "file" ? texts.showFile : texts.showText}
              </button>
            ))}
          </div>
        )}
      </div>
      <div className={cn("grid min-h-0 flex-1 grid-cols-[minmax(0,1fr)]", isPdf && "md:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]")}>
        {isPdf && (
          <div className={cn("min-h-0 md:block md:border-r", shownPane === "text" && "hidden")}>
            <PdfPane document={document} page={page} onPages={setPagesInFile} onTurn={(by) => turn(page + by)} />
          </div>
        )}
        <div className={cn("min-h-0 md:block", isPdf && shownPane === "file" && "hidden")}>
          <PageTextPane document={document} page={page} />
        </div>
      </div>
    </Page>
  );
}

function DocumentLead({ document }: { document: DocumentItem }) {
  const { documents } = useTexts("documents");
  return (
    <span className="grid gap-1.5">
      <span className="flex flex-wrap items-center gap-3">
        <Link to="/documents" className="inline-flex items-center gap-1 underline-offset-4 hover:underline">
          <ArrowLeft aria-hidden className="size-4" /> {documents.title}
        </Link>
        <DocumentStatusBadge document={document} />
      </span>
      {document.status === "failed" && <span className="text-destructive">{document.error ?? documents.failedUnknown}</span>}
    </span>
  );
}

function DocumentActions({ document }: { document: DocumentItem }) {
  const { document: texts, common } = useTexts("document");
  const isOwner = useIsOwner();
  const navigate = route.useNavigate();
  const [isDeleting, setDeleting] = useState(false);
  const download = useMutation({ mutationFn: () => fileLink(document.id), onSuccess: (url) => openFile(url, document.format) });
  return (
    <>
      <Button variant="outline" isBusy={download.isPending} onClick={() => download.mutate()}>
        <Download aria-hidden /> {texts.download}
      </Button>
      {isOwner && (
        <Button variant="outline" onClick={() => setDeleting(true)}>
          <Trash2 aria-hidden /> {common.delete}
        </Button>
      )}
      {isDeleting && (
        <DeleteDocument document={document} onClose={() => setDeleting(false)} onDeleted={() => void navigate({ to: "/documents" })} />
      )}
    </>
  );
}

/** A PDF is shown by the browser in a tab of its own; the storage sends other files as downloads, which leave the page in place. */
function openFile(url: string, format: string): void {
  if (format !== "pdf") {
    window.location.assign(url);
    return;
  }
  const link = window.document.createElement("a");
  link.href = url;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  link.click();
}

