import { ThumbsDown, ThumbsUp } from "lucide-react";
import { type ReactNode, useState } from "react";

import { cn } from "@/lib/cn";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { PathLink } from "@/ui/path-link";

import { useRating } from "./actions";
import { citationPath, readCitations, type StoredCitation } from "./citations";
import { FormattedText } from "./formatted-text";
import { labelOf } from "./message-label";
import type { Message } from "./queries";

const SURFACES: Record<string, string> = {
  contact: "mr-auto border bg-card",
  bot: "ml-auto bg-secondary text-secondary-foreground",
  agent: "ml-auto bg-accent text-accent-foreground",
  system: "mx-auto border border-dashed bg-card",
};
const LONG_CHARS = 1_200;
const LONG_LINES = 18;

/** One message with its author, its time, its sources and what became of it. */
export function MessageItem({ message, author }: { message: Message; author: string }) {
  const format = useFormat();
  const { inbox } = useTexts("inbox");
  const kind = message.attachment;
  return (
    <li className={cn("grid w-fit max-w-[min(40rem,88%)] min-w-0 gap-1.5 rounded-lg px-3.5 py-2.5", SURFACES[message.author] ?? SURFACES["system"])}>
      <div className="flex flex-wrap items-baseline gap-x-2 text-xs">
        <span dir="auto" className="min-w-0 font-semibold break-words">
          {author}
        </span>
        <time dateTime={message.created_at} title={format.dateTime(message.created_at)} className="text-muted-foreground">
          {format.time(message.created_at)}
        </time>
      </div>
      {kind != null && <Badge variant="outline">{inbox.attachments[kind] ?? inbox.attachment}</Badge>}
      <MessageText text={message.content} />
      <Sources citations={readCitations(message.citations)} />
      <Label message={message} />
      <Outcome message={message} />
      {message.author === "bot" && <Rating message={message} />}
    </li>
  );
}

/** The text with WhatsApp's marks, never as HTML, in its own direction. A very long one is cut until it is asked for. */
function MessageText({ text }: { text: string }) {
  const { inbox } = useTexts("inbox");
  const [isWhole, setWhole] = useState(false);
  if (text === "") return null;
  const isLong = text.length > LONG_CHARS || text.split("\n").length > LONG_LINES;
  return (
    <>
      <p dir="auto" className={cn("text-sm break-words whitespace-pre-wrap [overflow-wrap:anywhere]", isLong && !isWhole && "line-clamp-[12]")}>
        <FormattedText text={text} />
      </p>
      {isLong && (
        <Button variant="link" size="inline" className="justify-self-start" aria-expanded={isWhole} onClick={() => setWhole(!isWhole)}>
          {isWhole ? inbox.showLess : inbox.showWhole}
        </Button>
      )}
    </>
  );
}

function Sources({ citations }: { citations: readonly StoredCitation[] }) {
  const { inbox } = useTexts("inbox");
  if (citations.length === 0) return null;
  return (
    <ul aria-label={inbox.sources} className="grid gap-1 border-t border-border pt-1.5 text-xs">
      {citations.map((citation, at) => {
        const place = citation.location ?? (citation.page === null ? null : inbox.pageNumber(citation.page));
        const label = place === null ? citation.filename : inbox.page(citation.filename, place);
        const path = citationPath(citation);
        const title = citation.snippet === null ? {} : { title: citation.snippet };
        return (
          <li key={at} dir="auto" className="min-w-0 [overflow-wrap:anywhere]" {...title}>
            {path === null ? label : <PathLink path={path}>{label}</PathLink>}
          </li>
        );
      })}
    </ul>
  );
}

/** What a text of the assistant is, where it is no answer from documents. */
function Label({ message }: { message: Message }) {
  const { common } = useTexts();
  const label = labelOf(message);
  return label !== null && <Badge variant={label === "notFound" || label === "noModel" ? "warning" : "outline"}>{common.answerSources[label]}</Badge>;
}

/** The outcome of a message, where it is not plain: waiting, left without an answer, not delivered. */
function Outcome({ message }: { message: Message }) {
  const { inbox } = useTexts("inbox");
  const skipped = message.skipped_reason;
  let outcome: ReactNode = null;
  if (message.error_code != null) outcome = <Badge variant="destructive">{inbox.notDelivered(message.error_code)}</Badge>;
  else if (skipped != null) outcome = <span className="text-xs text-muted-foreground">{inbox.skipped[skipped] ?? skipped}</span>;
  else if (message.direction === "inbound" && message.answered_by == null) outcome = <Badge variant="warning">{inbox.waitsForAnswer}</Badge>;
  return outcome;
}

function Rating({ message }: { message: Message }) {
  const { inbox } = useTexts("inbox");
  const { isHelpful, rate } = useRating(message);
  return (
    <div className="-mb-1 -ml-1.5 flex gap-0.5">
      <Button variant="ghost" size="icon" className="size-7" aria-label={inbox.helpful} aria-pressed={isHelpful === true} onClick={() => rate(true)}>
        <ThumbsUp aria-hidden className={cn(isHelpful === true && "fill-current")} />
      </Button>
      <Button variant="ghost" size="icon" className="size-7" aria-label={inbox.notHelpful} aria-pressed={isHelpful === false} onClick={() => rate(false)}>
        <ThumbsDown aria-hidden className={cn(isHelpful === false && "fill-current")} />
      </Button>
    </div>
  );
}
