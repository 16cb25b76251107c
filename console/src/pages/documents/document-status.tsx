import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";
import { Spinner } from "@/ui/spinner";

import type { DocumentItem } from "./queries";

const VARIANTS = { pending: "secondary", processed: "success", failed: "destructive" } as const;

export function DocumentStatusBadge({ document }: { document: DocumentItem }) {
  const { documents } = useTexts("documents");
  const hasGaps = document.status === "processed" && document.pages_unread.length > 0;
  return (
    <Badge variant={hasGaps ? "warning" : VARIANTS[document.status]}>
      {document.status === "pending" && <Spinner />}
      {hasGaps ? documents.readWithGaps : documents.statuses[document.status]}
    </Badge>
  );
}
