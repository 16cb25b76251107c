import type { UseInfiniteQueryResult } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { MessagesSquare, SearchX } from "lucide-react";

import { EmptyState, ErrorState, LoadingState } from "@/layout/states";
import { LoadMore } from "@/layout/load-more";
import { cn } from "@/lib/cn";
import { useStore } from "@/lib/store";
import { useCompany, useFormat, useIsOwner } from "@/session/company";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";

import { draftOf } from "./drafts";
import { holderOf } from "./holder";
import { contactName, useHolderText } from "./names";
import type { Conversation } from "./queries";
import type { InboxSearch } from "./route";
import { previewOf } from "./whatsapp-text";

/** The id of a row's element, by which the keys move the focus. */
export const rowId = (conversation: string) => `conversation-${conversation}`;

interface ListProps {
  list: UseInfiniteQueryResult;
  items: readonly Conversation[];
  search: InboxSearch;
  /** The one row that Tab reaches. */
  cursor: string | null;
  onCursor: (conversation: string) => void;
}

export function ConversationList({ list, items, search, cursor, onCursor }: ListProps) {
  const { inbox } = useTexts("inbox");
  if (list.isPending) {
    return (
      <div className="p-4">
        <LoadingState rows={8} />
      </div>
    );
  }
  if (list.isError && items.length === 0) return <ErrorState error={list.error} onRetry={() => void list.refetch()} />;
  if (items.length === 0) return <NoConversation search={search} />;
  return (
    <div className={cn("min-h-0 flex-1 overflow-y-auto", list.isPlaceholderData && "opacity-60")} aria-busy={list.isPlaceholderData}>
      <ul aria-label={inbox.list}>
        {items.map((item) => (
          <li key={item.id} className="border-b">
            <Row
              conversation={item}
              search={search}
              isCursor={item.id === cursor}
              onFocus={() => onCursor(item.id)}
            />
          </li>
        ))}
      </ul>
      <div className="grid p-3">
        <LoadMore list={list} />
      </div>
    </div>
  );
}

interface RowProps {
  conversation: Conversation;
  search: InboxSearch;
  isCursor: boolean;
  onFocus: () => void;
}

function Row({ conversation, search, isCursor, onFocus }: RowProps) {
  const { inbox } = useTexts("inbox");
  const format = useFormat();
  const { user } = useCompany();
  const holderText = useHolderText();
  const draft = useStore(draftOf(user.id, conversation.id));
  const holder = holderOf(conversation);
  const { unanswered } = conversation;
  return (
    <Link
      id={rowId(conversation.id)}
      to="/inbox"
      search={{ ...search, conversation: conversation.id }}
      preload={false}
      tabIndex={isCursor ? 0 : -1}
      activeOptions={{ exact: true }}
      onFocus={onFocus}
      className="grid grid-cols-[minmax(0,1fr)] gap-1 px-4 py-3 -outline-offset-2 hover:bg-muted aria-[current=page]:bg-accent aria-[current=page]:text-accent-foreground"
    >
      <span className="flex items-baseline gap-2">
        <span dir="auto" className={cn("min-w-0 flex-1 truncate text-sm", unanswered > 0 ? "font-semibold" : "font-medium")}>
          {contactName(conversation, inbox.unknown)}
        </span>
        <time dateTime={conversation.last_message_at} className="shrink-0 text-xs text-muted-foreground">
          {format.short(conversation.last_message_at)}
        </time>
      </span>
      <span className="flex items-center gap-2">
        <span dir="auto" className="min-w-0 flex-1 truncate text-sm text-muted-foreground">
          {draft.text === "" ? previewOf(conversation.last_message ?? inbox.noMessage) : `${inbox.draftKept}: ${draft.text.slice(0, 200)}`}
        </span>
        {unanswered > 0 && (
          <Badge variant={conversation.handler === "human" ? "default" : "secondary"}>
            <span aria-hidden>{unanswered}</span>
            <span className="sr-only">{inbox.waits(unanswered)}</span>
          </Badge>
        )}
      </span>
      {conversation.waiting_reason === "quota" && <span className="truncate text-xs font-medium text-warning">{inbox.noneLeft}</span>}
      {holder.kind !== "bot" && (
        <span className={cn("truncate text-xs", holder.kind === "nobody" ? "font-medium text-warning" : "text-muted-foreground")}>
          {holderText(holder)}
        </span>
      )}
    </Link>
  );
}

/** Nothing to show: by the filter, by the search, or because no customer has written yet. */
function NoConversation({ search }: { search: InboxSearch }) {
  const { inbox } = useTexts("inbox");
  const isOwner = useIsOwner();
  const { none } = inbox;
  const showAll = (
    <Button variant="outline" asChild>
      <Link to="/inbox" search={{}}>
        {none.showAll}
      </Link>
    </Button>
  );
  if (search.q !== undefined) {
    return (
      <EmptyState icon={SearchX} title={none.found(search.q)} action={showAll}>
        <p>{none.foundHint}</p>
      </EmptyState>
    );
  }
  if (search.filter !== undefined) {
    return (
      <EmptyState icon={MessagesSquare} title={none[search.filter]} action={showAll}>
        <p>{none[`${search.filter}Hint`]}</p>
      </EmptyState>
    );
  }
  const connect = isOwner && (
    <Button asChild>
      <Link to="/start" hash="manychat">
        {none.connect}
      </Link>
    </Button>
  );
  return (
    <EmptyState icon={MessagesSquare} title={none.all} action={connect}>
      <p>{none.allHint}</p>
      <p>{inbox.takeOverHow}</p>
    </EmptyState>
  );
}
