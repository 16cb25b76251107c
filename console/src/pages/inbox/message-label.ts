import { type AnswerSource, sourceOf } from "@/lib/answer-source";

import type { Message } from "./queries";

/** Returns what a text of the assistant is, where its sources do not say so; null for other messages. */
export function labelOf({ author, answered, model }: Pick<Message, "author" | "answered" | "model">): AnswerSource | "notice" | null {
  if (author === "system") return "notice";
  if (author !== "bot") return null;
  // Such as the sentence of a handover: neither a model nor a document has a part in it.
  if (answered == null && model == null) return "notice";
  const source = sourceOf({ answered: answered !== false, model: model ?? "" });
  return source === "documents" ? null : source;
}
