import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Keyboard, MessagesSquare } from "lucide-react";
import { useRef, useState } from "react";

import { Page } from "@/layout/page";
import { EmptyState, ErrorState, LoadingState } from "@/layout/states";
import { cn } from "@/lib/cn";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";

import { useGiveBack, useTakeOver } from "./actions";
import { Filters } from "./filter-bar";
import { type Command, useCommands } from "./keys";
import { KeysDialog } from "./keys-dialog";
import { ConversationList, rowId } from "./list";
import { type Conversation, conversationQuery, conversationsQuery } from "./queries";
import { without } from "./route";
import { Thread } from "./thread";

/** Conversations at the left, the open one at the right; on a narrow window one of the two. */
export function InboxPage() {
  const { inbox } = useTexts("inbox");
  const search = useSearch({ from: "/app/inbox" });
  const list = useInfiniteQuery(conversationsQuery(search.filter, search.q));
  const items = list.data?.pages.flatMap((page) => page.data) ?? [];
  const open = useOpenConversation(search.conversation, items, list.isSuccess);
  const keyboard = useKeyboard(items, open.conversation);
  const [isHelpShown, setHelpShown] = useState(false);
  useCommands((command) => (command === "help" ? setHelpShown(true) : keyboard.run(command)));
  const isOpen = search.conversation !== undefined;
  return (
    <Page
      title={inbox.title}
      isFull
      actions={
        <Button variant="ghost" size="icon" className="max-lg:hidden" aria-label={inbox.keys.title} aria-keyshortcuts="?" onClick={() => setHelpShown(true)}>
          <Keyboard aria-hidden />
        </Button>
      }
    >
      <div className="grid min-h-0 flex-1 lg:grid-cols-[22rem_minmax(0,1fr)]">
        <div className={cn("flex min-h-0 min-w-0 flex-col lg:border-r", isOpen && "max-lg:hidden")}>
          <Filters search={search} />
          <ConversationList list={list} items={items} search={search} cursor={keyboard.cursor} onCursor={keyboard.setCursor} />
        </div>
        <div className={cn("flex min-h-0 min-w-0 flex-col", !isOpen && "max-lg:hidden")}>
          {open.conversation !== null && (
            <Thread
              key={open.conversation.id}
              conversation={open.conversation}
              input={keyboard.input}
              focusRequest={keyboard.focusRequest}
              onClose={keyboard.close}
              onLeave={keyboard.leave}
            />
          )}
          {open.conversation === null && isOpen && <NotOpen isPending={open.isPending} error={open.error} onClose={keyboard.close} />}
          {!isOpen && (
            <EmptyState icon={MessagesSquare} title={inbox.choose}>
              <p>{inbox.chooseHint}</p>
              {items.length > 0 && <p>{inbox.takeOverHow}</p>}
            </EmptyState>
          )}
        </div>
      </div>
      {isHelpShown && <KeysDialog onClose={() => setHelpShown(false)} />}
    </Page>
  );
}

/** Loading, an error, or an address that names no conversation of this company. */
function NotOpen({ isPending, error, onClose }: { isPending: boolean; error: Error | null; onClose: () => void }) {
  const { inbox, errors } = useTexts("inbox");
  if (isPending) {
    return (
      <div className="p-4">
        <LoadingState />
      </div>
    );
  }
  if (error !== null) return <ErrorState error={error} onRetry={onClose} />;
  return (
    <EmptyState
      icon={MessagesSquare}
      title={errors.notFoundTitle}
      action={
        <Button variant="outline" onClick={onClose}>
          {inbox.back}
        </Button>
      }
    >
      <p>{errors.notFoundHint}</p>
    </EmptyState>
  );
}

/** The conversation that the address names: from the list, else asked for by itself. */
function useOpenConversation(id: string | undefined, items: readonly Conversation[], isListed: boolean) {
  const listed = items.find((item) => item.id === id);
  const single = useQuery({ ...conversationQuery(id ?? ""), enabled: id !== undefined && isListed && listed === undefined });
  const conversation = id === undefined ? null : (listed ?? single.data ?? null);
  return { conversation, isPending: !isListed || single.isPending, error: single.error };
}

/** Handles the inbox's keys. They act on the row with the focus, else on the open conversation, else on the first row. */
function useKeyboard(items: readonly Conversation[], open: Conversation | null) {
  const navigate = useNavigate({ from: "/inbox" });
  const input = useRef<HTMLTextAreaElement | null>(null);
  const [walked, setCursor] = useState<string | null>(null);
  const [request, setRequest] = useState<{ id: string; n: number } | null>(null);
  const takeOver = useTakeOver();
  const giveBack = useGiveBack();
  const has = (id: string | null | undefined) => items.some((item) => item.id === id);
  const cursor = has(walked) ? walked : has(open?.id) ? (open?.id ?? null) : (items[0]?.id ?? null);
  const target = cursor ?? open?.id ?? null;

  const openIt = (id: string) => {
    setCursor(id);
    void navigate({ search: (before) => ({ ...before, conversation: id }) });
  };
  const walk = (step: 1 | -1) => {
    const at = items.findIndex(({ id }) => id === cursor);
    const isFocused = document.activeElement?.id === rowId(cursor ?? "");
    // The first arrow comes from elsewhere: it goes to the present row, not past it.
    const next = items[isFocused ? at + step : at];
    if (next === undefined) return;
    setCursor(next.id);
    document.getElementById(rowId(next.id))?.focus();
  };
  const commands: Partial<Record<Command, (id: string) => void>> = {
    open: openIt,
    take: (id) => takeOver.mutate(id),
    give: (id) => giveBack.mutate(id),
    reply: (id) => {
      if (id !== open?.id) openIt(id);
      setRequest((before) => ({ id, n: (before?.n ?? 0) + 1 }));
    },
  };
  const run = (command: Command) => {
    if (command === "next") walk(1);
    else if (command === "previous") walk(-1);
    else if (command === "search") document.getElementById("inbox-search")?.focus();
    else if (target !== null) commands[command]?.(target);
  };
  return {
    cursor,
    setCursor,
    input,
    run,
    focusRequest: request !== null && request.id === open?.id ? request.n : 0,
    close: () => void navigate({ search: (before) => without(before, "conversation") }),
    leave: () => (document.getElementById(rowId(open?.id ?? "")) ?? document.getElementById("main"))?.focus(),
  };
}
