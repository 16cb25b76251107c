/** What a text of the assistant is: an answer, and from where, or a sentence that is none. */

/** Sources that the API names in place of a model: `model` of an answer and of a message. */
const SOURCES = {
  "extractive-1": "documents",
  "catalogue-1": "catalogue",
  "approved-answer": "approved",
  courtesy: "courtesy",
  none: "noModel",
} as const;

export type AnswerSource = (typeof SOURCES)[keyof typeof SOURCES] | "notFound";

/** Returns what the text is; null for the answer of a language model, which is known by its name. */
export function sourceOf({ answered, model }: { answered: boolean; model: string }): AnswerSource | null {
  const source = Object.hasOwn(SOURCES, model) ? SOURCES[model as keyof typeof SOURCES] : null;
  if (source === "courtesy" || source === "noModel") return source;
  return answered ? source : "notFound";
}
