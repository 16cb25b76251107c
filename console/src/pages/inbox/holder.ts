import type { Conversation, Message } from "./queries";

/** The side that answers a conversation, and the person, where one is known. */
export type Holder = { kind: "bot" } | { kind: "nobody" } | { kind: "person"; userId: string | null };

/**
 * True when a person should write: one was asked for and none has come, or the contact has written since. The API's number of
 * unanswered messages is not enough, as the notice of a handover counts as an answer.
 */
export function waitsForPerson({ handler, handover_reason, unanswered }: Pick<Conversation, "handler" | "handover_reason" | "unanswered">): boolean {
  return handler === "human" && (handover_reason !== "person" || unanswered > 0);
}

/**
 * Says who has a conversation: the person who wrote last, else the one who took it over. A conversation that was handed over
 * for another reason, and in which no person has written since, waits for one.
 */
export function holderOf(
  conversation: Conversation,
  takeovers: ReadonlyMap<string, string> | undefined,
  messages: readonly Message[] = [],
): Holder {
  if (conversation.handler !== "human") return { kind: "bot" };
  if (conversation.handover_reason !== "person") return { kind: "nobody" };
  const lastOfPerson = messages.find(({ author }) => author === "agent");
  const lastOfBot = messages.find(({ author }) => author === "bot");
  const isOfThisTime = lastOfPerson !== undefined && (lastOfBot === undefined || lastOfPerson.created_at > lastOfBot.created_at);
  const writer = isOfThisTime ? (lastOfPerson.sent_by ?? null) : null;
  return { kind: "person", userId: writer ?? takeovers?.get(conversation.id) ?? null };
}
