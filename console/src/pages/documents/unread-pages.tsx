import { Link } from "@tanstack/react-router";
import { TriangleAlert } from "lucide-react";
import { Fragment } from "react";

import { useTexts } from "@/texts";

import { pageRanges, rangeText } from "./page-ranges";
import type { DocumentItem } from "./queries";

/** Ranges that are named in a row; a book of scans has hundreds. */
const MAX_RANGES = 12;

/** Names the pages that were not read, each with a link to it. Nothing when all were read. */
export function UnreadPages({ document }: { document: DocumentItem }) {
  const { documents } = useTexts("documents");
  const ranges = pageRanges(document.pages_unread);
  if (ranges.length === 0) return null;
  const shown = ranges.slice(0, MAX_RANGES);
  return (
    <div className="flex items-start gap-2 text-sm text-warning">
      <TriangleAlert aria-hidden className="mt-0.5 size-4 shrink-0" />
      <p className="min-w-0">
        {documents.unread(document.pages_unread.length)}{" "}
        {shown.map((range, at) => (
          <Fragment key={range.from}>
            {at > 0 && ", "}
            <Link
              to="/documents/$documentId"
              params={{ documentId: document.id }}
              search={{ page: range.from }}
              className="font-medium underline underline-offset-2"
              aria-label={documents.openUnread(rangeText(range))}
            >
              {rangeText(range)}
            </Link>
          </Fragment>
        ))}
        {ranges.length > shown.length && " …"}
        {". "}
        {document.warning ?? documents.unreadHint}
      </p>
    </div>
  );
}
