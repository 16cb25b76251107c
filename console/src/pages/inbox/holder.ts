import type { Conversation } from "./queries";

/** The side that answers a conversation, and the person: null for somebody who is not known any more. */
export type Holder = { kind: "bot" } | { kind: "nobody" } | { kind: "person"; person: Conversation["handled_by"] };

/** Says who has a conversation. One that was handed over waits for a person until one takes it. */
export function holderOf({ handler, handover_reason, handled_by }: Pick<Conversation, "handler" | "handover_reason" | "handled_by">): Holder {
  if (handler !== "human") return { kind: "bot" };
  return handover_reason === "person" ? { kind: "person", person: handled_by } : { kind: "nobody" };
}
