import { useQuery } from "@tanstack/react-query";

import { useCompany, useIsOwner } from "@/session/company";
import { useTexts } from "@/texts";

import type { Holder } from "./holder";
import { type Conversation, type Message, membersQuery } from "./queries";

/** The name of a contact: its own, else its number. */
export function contactName(conversation: Conversation, unknown: string): string {
  return [conversation.display_name, conversation.user_phone].find((name) => name != null && name.trim() !== "") ?? unknown;
}

/** Names members: oneself, colleagues by name for an owner; others may not ask for the team. */
function useMemberName(): (userId: string | null | undefined) => string {
  const { inbox } = useTexts("inbox");
  const { user } = useCompany();
  const isOwner = useIsOwner();
  const { data: members } = useQuery({ ...membersQuery, enabled: isOwner });
  return (userId) => {
    if (userId === user.id) return inbox.withYou;
    return (userId != null ? members?.get(userId) : undefined) ?? inbox.colleague;
  };
}

/** Says in a few words who has a conversation. */
export function useHolderText(): (holder: Holder) => string {
  const { inbox } = useTexts("inbox");
  const { user } = useCompany();
  return (holder) => {
    if (holder.kind === "bot") return inbox.botHas;
    if (holder.kind === "nobody") return inbox.nobodyHas;
    if (holder.person?.id === user.id) return inbox.youHave;
    return inbox.has(holder.person?.name ?? inbox.colleague);
  };
}

/** Names the author of a message. */
export function useAuthorName(contact: string): (message: Message) => string {
  const { inbox } = useTexts("inbox");
  const nameOf = useMemberName();
  return (message) => {
    if (message.author === "contact") return contact;
    if (message.author === "agent") return nameOf(message.sent_by);
    return inbox.authors[message.author] ?? message.author;
  };
}
