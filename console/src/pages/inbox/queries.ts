import { infiniteQueryOptions, keepPreviousData, type QueryClient, queryOptions, type InfiniteData } from "@tanstack/react-query";

import { call, client, type Schemas } from "@/api/client";

import { type ConversationsQuery, queryOfFilter } from "./filters";
import type { Filter } from "./route";

export type Conversation = Schemas["ConversationItem"];
/** A message with the reader's own rating. */
export type Message = Schemas["MessageItem"];
type ConversationList = Schemas["List_ConversationItem"];
export type MessageList = Schemas["List_MessageItem"];

const PAGE_SIZE = 50;

export const conversationsQuery = (filter: Filter | undefined, search: string | undefined) =>
  infiniteQueryOptions({
    queryKey: ["conversations", "list", filter ?? "all", search ?? ""],
    queryFn: async ({ signal, pageParam }) => {
      const query: ConversationsQuery = {
        ...queryOfFilter(filter, search),
        limit: PAGE_SIZE,
        ...(pageParam !== null && { cursor: pageParam }),
      };
      return call(client.GET("/api/v1/conversations", { params: { query }, signal }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.meta.next_cursor ?? null,
    // The list stays while the next letter of a search is looked for.
    placeholderData: keepPreviousData,
  });

/** One conversation, also when the list does not hold it. Null when there is none with this id. */
export const conversationQuery = (id: string) =>
  queryOptions({
    queryKey: ["conversations", "one", id],
    queryFn: async ({ signal }) => {
      const query: ConversationsQuery = { conversation_id: id, limit: 1 };
      return (await call(client.GET("/api/v1/conversations", { params: { query }, signal }))).data[0] ?? null;
    },
  });

/** The messages of a conversation, newest first; each next page is older. */
export const messagesQuery = (conversation: string) =>
  infiniteQueryOptions({
    queryKey: ["messages", "of", conversation],
    queryFn: async ({ signal, pageParam }) =>
      call(
        client.GET("/api/v1/messages", {
          params: { query: { conversation_id: conversation, limit: PAGE_SIZE, ...(pageParam !== null && { cursor: pageParam }) } },
          signal,
        }),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.meta.next_cursor ?? null,
  });

/** The members' names by their ids. Only owners may ask for them. */
export const membersQuery = queryOptions({
  queryKey: ["members", "names"],
  queryFn: async ({ signal }) => {
    const { data } = await call(client.GET("/api/v1/customers/me/members", { params: { query: { limit: 100 } }, signal }));
    return new Map(data.map(({ user_id, full_name, email }) => [user_id, full_name ?? email]));
  },
  staleTime: 300_000,
});

/** Writes a conversation that the server returned into every list that holds it. */
export function storeConversation(queries: QueryClient, item: Conversation): void {
  queries.setQueryData(conversationQuery(item.id).queryKey, item);
  queries.setQueriesData<InfiniteData<ConversationList, string | null>>({ queryKey: ["conversations", "list"] }, (list) =>
    list && {
      ...list,
      pages: list.pages.map((page) => ({ ...page, data: page.data.map((known) => (known.id === item.id ? item : known)) })),
    },
  );
}

/** Takes a deleted conversation out of every list that holds it, with its messages. */
export function removeConversation(queries: QueryClient, id: string): void {
  queries.setQueryData(conversationQuery(id).queryKey, null);
  queries.setQueriesData<InfiniteData<ConversationList, string | null>>({ queryKey: ["conversations", "list"] }, (list) =>
    list && { ...list, pages: list.pages.map((page) => ({ ...page, data: page.data.filter((known) => known.id !== id) })) },
  );
  queries.removeQueries({ queryKey: messagesQuery(id).queryKey });
}

/** Adds a message that the server returned to its thread, unless a refresh was faster. */
export function storeMessage(queries: QueryClient, written: Schemas["Message"]): void {
  const message: Message = { ...written, own_feedback: null };
  queries.setQueryData<InfiniteData<MessageList, string | null>>(messagesQuery(message.conversation_id).queryKey, (thread) => {
    const [first, ...rest] = thread?.pages ?? [];
    if (thread === undefined || first === undefined) return thread;
    if (thread.pages.some((page) => page.data.some(({ id }) => id === message.id))) return thread;
    return { ...thread, pages: [{ ...first, data: [message, ...first.data] }, ...rest] };
  });
}

/** Writes a rating that the server stored into the threads that hold its message. */
export function storeFeedback(queries: QueryClient, { message_id, is_helpful, comment }: Schemas["Feedback"]): void {
  const own_feedback = { is_helpful, comment: comment ?? null };
  queries.setQueriesData<InfiniteData<MessageList, string | null>>({ queryKey: ["messages", "of"] }, (thread) =>
    thread && {
      ...thread,
      pages: thread.pages.map((page) => ({ ...page, data: page.data.map((known) => (known.id === message_id ? { ...known, own_feedback } : known)) })),
    },
  );
}
