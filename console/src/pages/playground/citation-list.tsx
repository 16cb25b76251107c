import { Link } from "@tanstack/react-router";
import { FileText } from "lucide-react";

import { useTexts } from "@/texts";

import type { Citation } from "./conversation";

/** The passages that support an answer, each with a link to its page. */
export function CitationList({ citations, turnId }: { citations: readonly Citation[]; turnId: number | string }) {
  const { playground } = useTexts("playground");
  if (citations.length === 0) return null;
  return (
    <details className="text-sm" open>
      <summary className="font-medium">{playground.sources(citations.length)}</summary>
      <ol className="mt-2 grid grid-cols-[minmax(0,1fr)] gap-2">
        {citations.map((citation) => (
          <li key={citation.number} id={`citation-${turnId}-${citation.number}`} className="grid scroll-mt-4 gap-1 rounded-md border px-3 py-2">
            <Link
              to="/documents/$documentId"
              params={{ documentId: citation.document_id }}
              search={citation.page == null ? {} : { page: citation.page }}
              className="flex items-start gap-2 font-medium underline-offset-2 hover:underline"
            >
              <span className="rounded-sm bg-accent px-1.5 text-accent-foreground">{citation.number}</span>
              <FileText aria-hidden className="mt-0.5 size-4 shrink-0 text-muted-foreground" />
              <span className="min-w-0 [overflow-wrap:anywhere]">
                <bdi>{citation.filename}</bdi>, {citation.location}
                {citation.version != null && ` (${citation.version})`}
              </span>
            </Link>
            <p dir="auto" className="line-clamp-4 text-muted-foreground [overflow-wrap:anywhere] whitespace-pre-line">
              {citation.snippet}
            </p>
          </li>
        ))}
      </ol>
    </details>
  );
}
