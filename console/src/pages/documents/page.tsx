import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { FileText, SearchX } from "lucide-react";
import { useState } from "react";

import { LoadMore } from "@/layout/load-more";
import { Page } from "@/layout/page";
import { EmptyState, ErrorState, LoadingState } from "@/layout/states";
import { useStore } from "@/lib/store";
import { useIsOwner } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";

import { DeleteDocument } from "./delete-document";
import { DocumentFilters } from "./document-filters";
import { DocumentRow } from "./document-row";
import { DropZone } from "./drop-zone";
import { type DocumentItem, documentsQuery } from "./queries";
import { UploadList } from "./upload-list";
import { uploads } from "./uploads";

const route = getRouteApi("/app/documents");

export function DocumentsPage() {
  const { documents } = useTexts("documents");
  const isOwner = useIsOwner();
  return (
    <Page title={documents.title} lead={isOwner ? documents.lead : `${documents.lead} ${documents.leadOfOthers}`}>
      {isOwner && (
        <>
          <DropZone />
          <UploadList />
        </>
      )}
      <DocumentFilters />
      <DocumentList />
    </Page>
  );
}

function DocumentList() {
  const { documents } = useTexts("documents");
  const isOwner = useIsOwner();
  const { status, sort } = route.useSearch();
  const navigate = route.useNavigate();
  const list = useInfiniteQuery(documentsQuery(status, sort));
  const [deleted, setDeleted] = useState<DocumentItem | null>(null);
  const sending = useSendingDocuments();
  const items = (list.data?.pages.flatMap((page) => page.data) ?? []).filter(({ id }) => !sending.has(id));
  const total = list.data?.pages[0]?.meta;
  return (
    <>
      {list.isPending && <LoadingState />}
      {list.isError && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
      {list.isSuccess && items.length === 0 && status === undefined && (
        <EmptyState icon={FileText} title={documents.empty}>
          <p>{isOwner ? documents.emptyHint : documents.emptyAskOwner}</p>
        </EmptyState>
      )}
      {list.isSuccess && items.length === 0 && status !== undefined && (
        <EmptyState
          icon={SearchX}
          title={documents.emptyFilter}
          action={
            <Button variant="outline" onClick={() => void navigate({ search: {} })}>
              {documents.showAll}
            </Button>
          }
        />
      )}
      {items.length > 0 && (
        <section aria-label={documents.title} className="grid gap-3">
          {total !== undefined && (
            <p className="text-sm text-muted-foreground">{documents.total(total.total, total.total_is_estimate === true)}</p>
          )}
          <ul className="divide-y rounded-lg border bg-card">
            {items.map((item) => (
              <DocumentRow key={item.id} document={item} onDelete={() => setDeleted(item)} />
            ))}
          </ul>
          <LoadMore list={list} />
        </section>
      )}
      {deleted !== null && <DeleteDocument document={deleted} onClose={() => setDeleted(null)} />}
    </>
  );
}

/** Documents whose files are being sent: the list of uploads shows them. */
function useSendingDocuments(): ReadonlySet<string> {
  const tasks = useStore(uploads);
  return new Set(tasks.flatMap(({ documentId, state }) => (documentId !== null && (state === "sending" || state === "cancelled") ? [documentId] : [])));
}
