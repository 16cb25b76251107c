import { sourceOf } from "@/lib/answer-source";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";

/** Says what a text of the assistant is: an answer, and from where, or a sentence that is none. */
export function AnswerSourceBadge({ answer }: { answer: { answered: boolean; model: string } }) {
  const { common } = useTexts();
  const source = sourceOf(answer);
  return <Badge variant={source === "notFound" || source === "noModel" ? "warning" : "outline"}>{source === null ? answer.model : common.answerSources[source]}</Badge>;
}
