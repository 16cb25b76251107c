import { useInfiniteQuery } from "@tanstack/react-query";
import { FileText } from "lucide-react";

import { Page } from "@/layout/page";
import { EmptyState, ErrorState, LoadingState } from "@/layout/states";
import { useTexts } from "@/texts";

import { documentsQuery } from "./queries";

export function DocumentsPage() {
  const { documents } = useTexts();
  const list = useInfiniteQuery(documentsQuery(undefined));
  const items = list.data?.pages.flatMap((page) => page.data) ?? [];
  return (
    <Page title={documents.title} lead={documents.lead}>
      {list.isPending && <LoadingState />}
      {list.isError && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
      {list.isSuccess && items.length === 0 && <EmptyState icon={FileText} title={documents.empty} />}
      <ul>
        {items.map((item) => (
          <li key={item.id}>{item.filename}</li>
        ))}
      </ul>
    </Page>
  );
}
