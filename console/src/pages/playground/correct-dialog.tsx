import { useQuery } from "@tanstack/react-query";

import { AnswerDialog } from "@/answers/answer-dialog";
import { answersWithTextQuery } from "@/answers/queries";
import { wordingOf } from "@/pages/unanswered/grouping";
import { useTexts } from "@/texts";

import { type Answer, noteApproved, type Turn } from "./conversation";
import { withoutMarkers } from "./markers";

/** Writes the answer that the question of a turn gets from now on. An approved answer is changed, not added a second time. */
export function CorrectDialog({ turn, answer, onClose }: { turn: Turn; answer: Answer; onClose: () => void }) {
  const { playground } = useTexts("playground");
  const isApproved = answer.model === "approved-answer";
  const found = useQuery({ ...answersWithTextQuery(answer.answer), enabled: isApproved });
  if (isApproved && found.isPending) return null;
  const same = found.data ?? [];
  const stored = same.find(({ question }) => wordingOf(question) === wordingOf(turn.question)) ?? (same.length === 1 ? same[0] : undefined) ?? null;
  const text = answer.answered ? withoutMarkers(answer.answer, answer.citations.map(({ number }) => number)) : "";
  return (
    <AnswerDialog
      title={answer.answered ? playground.correct : playground.answerNextTime}
      lead={playground.correctLead}
      stored={stored}
      {...(stored === null && { start: { question: turn.question, answer: text } })}
      onSaved={(approved) => noteApproved(turn.id, approved)}
      onClose={onClose}
    />
  );
}
