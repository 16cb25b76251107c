import { type InfiniteData, useInfiniteQuery } from "@tanstack/react-query";
import { lazyRouteComponent } from "@tanstack/react-router";
import { ArrowDown, ArrowLeft, Bot, Hand } from "lucide-react";
import { type RefObject, Suspense, useRef, useState } from "react";

import { deletedMessages } from "@/api/changes";
import { ErrorState, LoadingState } from "@/layout/states";
import { useStore } from "@/lib/store";
import { useFormat, useIsOwner } from "@/session/company";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";

import { useGiveBack, useTakeOver } from "./actions";
import { Composer } from "./composer";
import { holderOf } from "./holder";
import { Key } from "./keys-dialog";
import { MessageItem } from "./message";
import { contactName, useAuthorName, useHolderText } from "./names";
import { mergeMessages, withoutDeleted } from "./merge";
import { type Conversation, type Message, type MessageList, messagesQuery } from "./queries";
import { type ThreadHandle, useThreadScroll } from "./use-thread-scroll";

/** Loaded after the thread: the library of menus is large, and only owners have it. */
const ContactMenu = lazyRouteComponent(() => import("./contact-menu"), "ContactMenu");

interface ThreadProps {
  conversation: Conversation;
  input: RefObject<HTMLTextAreaElement | null>;
  focusRequest: number;
  onClose: () => void;
  onLeave: () => void;
}

/** The open conversation: who has it, its messages, the field for an answer. Mount it anew for another conversation. */
export function Thread({ conversation, input, focusRequest, onClose, onLeave }: ThreadProps) {
  const { inbox } = useTexts("inbox");
  const thread = useInfiniteQuery(messagesQuery(conversation.id));
  const newestFirst = useKnownMessages(thread.data);
  const contact = contactName(conversation, inbox.unknown);
  const handle = useRef<ThreadHandle>(null);
  return (
    <section aria-label={inbox.thread(contact)} className="flex min-h-0 min-w-0 flex-1 flex-col">
      <ThreadHeader conversation={conversation} contact={contact} onClose={onClose} />
      {thread.isPending && (
        <div className="flex-1 p-4">
          <LoadingState />
        </div>
      )}
      {thread.isError && newestFirst.length === 0 && (
        <div className="flex-1">
          <ErrorState error={thread.error} onRetry={() => void thread.refetch()} />
        </div>
      )}
      {thread.data !== undefined && <Messages messages={[...newestFirst].reverse()} contact={contact} thread={thread} handle={handle} />}
      {conversation.channel === "whatsapp" && (
        <Composer conversation={conversation} input={input} focusRequest={focusRequest} onSent={() => handle.current?.toEnd()} onLeave={onLeave} />
      )}
    </section>
  );
}

/** The loaded messages, newest first. A refresh of the newest page drops none that were shown before, but those that were deleted. */
function useKnownMessages(data: InfiniteData<MessageList> | undefined): readonly Message[] {
  const [merged, setMerged] = useState<{ data: typeof data; messages: readonly Message[] }>({ data: undefined, messages: [] });
  const deleted = useStore(deletedMessages);
  if (data === merged.data || data === undefined) return withoutDeleted(merged.messages, deleted);
  const isWhole = data.pages.at(-1)?.meta.next_cursor == null;
  const messages = mergeMessages(merged.messages, data.pages.flatMap((page) => page.data), { isWhole, deleted });
  setMerged({ data, messages });
  return messages;
}

interface HeaderProps {
  conversation: Conversation;
  contact: string;
  onClose: () => void;
}

function ThreadHeader({ conversation, contact, onClose }: HeaderProps) {
  const { inbox } = useTexts("inbox");
  const holderText = useHolderText();
  const holder = holderOf(conversation);
  const takeOver = useTakeOver();
  const giveBack = useGiveBack();
  const isOwner = useIsOwner();
  const isWithPerson = conversation.handler === "human";
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-2 border-b bg-card px-4 py-2.5">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <Button variant="ghost" size="icon" className="-ml-2 lg:hidden" aria-label={inbox.back} onClick={onClose}>
          <ArrowLeft aria-hidden />
        </Button>
        <div className="min-w-0 flex-1 max-sm:basis-[70%]">
          <h2 dir="auto" className="truncate text-base font-semibold">
            {contact}
          </h2>
          {conversation.user_phone != null && conversation.user_phone !== contact && (
            <p className="text-xs text-muted-foreground">{conversation.user_phone}</p>
          )}
        </div>
        <Badge variant={holder.kind === "nobody" ? "warning" : holder.kind === "person" ? "success" : "outline"} className="max-w-full">
          {holder.kind === "bot" ? <Bot aria-hidden /> : <Hand aria-hidden />}
          <span className="truncate">{holderText(holder)}</span>
        </Badge>
        <div className="flex gap-2">
          {holder.kind === "person" ? null : (
            <Button size="sm" variant={holder.kind === "nobody" ? "default" : "outline"} isBusy={takeOver.isPending} aria-keyshortcuts="T" onClick={() => takeOver.mutate(conversation.id)}>
              {inbox.takeOver} <ShortcutHint>T</ShortcutHint>
            </Button>
          )}
          {isWithPerson && (
            <Button size="sm" variant="outline" isBusy={giveBack.isPending} aria-keyshortcuts="G" onClick={() => giveBack.mutate(conversation.id)}>
              {inbox.giveBack} <ShortcutHint>G</ShortcutHint>
            </Button>
          )}
          {isOwner && (
            <Suspense fallback={<div className="size-8" />}>
              <ContactMenu conversation={conversation} contact={contact} onDeleted={onClose} />
            </Suspense>
          )}
        </div>
      </div>
      <Notes conversation={conversation} isTaken={holder.kind === "person"} />
    </div>
  );
}

function ShortcutHint({ children }: { children: string }) {
  return (
    <span aria-hidden className="max-lg:hidden">
      <Key>{children}</Key>
    </span>
  );
}

/** True while the assistant has a conversation in which a person may write. */
const canTakeOver = ({ handler, channel, opted_out_at }: Conversation) => handler !== "human" && channel === "whatsapp" && opted_out_at == null;

/** How to take over, the reason for the handover, its end, and a note about an opt-out. */
function Notes({ conversation, isTaken }: { conversation: Conversation; isTaken: boolean }) {
  const { inbox } = useTexts("inbox");
  const format = useFormat();
  const reason = conversation.handover_reason;
  const notes: string[] = [];
  if (canTakeOver(conversation)) notes.push(inbox.takeOverHow);
  if (reason != null && !isTaken) notes.push(inbox.reasons[reason] ?? reason);
  if (conversation.handler === "human" && conversation.handover_until != null) notes.push(inbox.until(format.short(conversation.handover_until)));
  return (
    <>
      {notes.length > 0 && <p className="text-xs text-muted-foreground">{notes.join(" ")}</p>}
      {conversation.opted_out_at != null && (
        <Alert variant="warning" className="py-1.5">
          {inbox.optedOut}
        </Alert>
      )}
      {conversation.waiting_reason === "quota" && (
        <Alert variant="warning" className="py-1.5">
          {inbox.quota}
        </Alert>
      )}
    </>
  );
}

interface MessagesProps {
  /** Oldest first. */
  messages: readonly Message[];
  contact: string;
  thread: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown };
  handle: RefObject<ThreadHandle | null>;
}

function Messages({ messages, contact, thread, handle }: MessagesProps) {
  const { inbox } = useTexts("inbox");
  const authorOf = useAuthorName(contact);
  const { container, onScroll, toEnd, unseen } = useThreadScroll(
    messages.map(({ id }) => id),
    handle,
  );
  return (
    <div className="relative flex min-h-0 flex-1 flex-col">
      <div
        ref={container}
        role="log"
        aria-label={inbox.thread(contact)}
        // The scrolled part must be reachable by keyboard.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        tabIndex={0}
        onScroll={onScroll}
        className="min-h-0 flex-1 overflow-y-auto px-4 py-4 [overflow-anchor:none]"
      >
        {thread.hasNextPage && (
          <div className="mb-4 text-center">
            <Button variant="outline" size="sm" isBusy={thread.isFetchingNextPage} onClick={() => thread.fetchNextPage()}>
              {inbox.earlier}
            </Button>
          </div>
        )}
        {messages.length === 0 && <p className="py-8 text-center text-sm text-muted-foreground">{inbox.noMessage}</p>}
        <Days messages={messages} authorOf={authorOf} />
      </div>
      {unseen > 0 && (
        <Button size="sm" className="absolute bottom-3 left-1/2 -translate-x-1/2 shadow-md" onClick={toEnd}>
          <ArrowDown aria-hidden /> {inbox.newBelow(unseen)}
        </Button>
      )}
    </div>
  );
}

/** The messages under the days on which they came. */
function Days({ messages, authorOf }: { messages: readonly Message[]; authorOf: (message: Message) => string }) {
  const format = useFormat();
  const days: { day: string; ofDay: Message[] }[] = [];
  for (const message of messages) {
    const day = format.dayOf(message.created_at);
    const last = days.at(-1);
    if (last?.day === day) last.ofDay.push(message);
    else days.push({ day, ofDay: [message] });
  }
  return days.map(({ day, ofDay }) => (
    <div key={day}>
      <p className="my-3 text-center text-xs font-medium text-muted-foreground">{format.day(day)}</p>
      <ol className="grid gap-2.5">
        {ofDay.map((message) => (
          <MessageItem key={message.id} message={message} author={authorOf(message)} />
        ))}
      </ol>
    </div>
  ));
}
