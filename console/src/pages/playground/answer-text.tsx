import { Fragment } from "react";

import { useTexts } from "@/texts";

import type { Citation } from "./conversation";
import { splitMarkers } from "./markers";

/** The answer's text with its markers as links to the passages below it. The text is never markup. */
export function AnswerText({ text, turnId, citations }: { text: string; turnId: number | string; citations: readonly Citation[] }) {
  const { playground } = useTexts("playground");
  const known = new Set(citations.map(({ number }) => number));
  return (
    <p dir="auto" className="leading-relaxed [overflow-wrap:anywhere] whitespace-pre-wrap">
      {splitMarkers(text).map((part, at) =>
        typeof part === "number" && known.has(part) ? (
          <a
            key={at}
            href={`#citation-${turnId}-${part}`}
            aria-label={playground.source(part)}
            className="mx-0.5 inline-flex min-w-6 justify-center rounded-sm bg-accent px-1 text-sm font-medium text-accent-foreground"
          >
            {part}
          </a>
        ) : (
          <Fragment key={at}>{typeof part === "number" ? `[${part}]` : part}</Fragment>
        ),
      )}
    </p>
  );
}
