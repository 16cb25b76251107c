import { Link } from "@tanstack/react-router";
import { CircleCheck, PencilLine, RotateCcw } from "lucide-react";
import { lazy, Suspense, useState } from "react";

import { useStore } from "@/lib/store";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";

import { type Answer, ask, isAnswering, type Turn, turns } from "./conversation";

// Its form needs more code than the conversation: it is loaded when it is opened.
const CorrectDialog = lazy(() => import("./correct-dialog").then(({ CorrectDialog: component }) => ({ default: component })));

/** Sets an answer right for the next time, for those who may approve answers. */
export function Correction({ turn, answer }: { turn: Turn; answer: Answer }) {
  const { playground } = useTexts("playground");
  const [isOpen, setOpen] = useState(false);
  if (turn.approved !== null) return <Approved question={turn.question} />;
  return (
    <>
      <Button variant="outline" size="sm" className="justify-self-start" onClick={() => setOpen(true)}>
        <PencilLine aria-hidden /> {answer.answered ? playground.correct : playground.answerNextTime}
      </Button>
      <Suspense>{isOpen && <CorrectDialog turn={turn} answer={answer} onClose={() => setOpen(false)} />}</Suspense>
    </>
  );
}

function Approved({ question }: { question: string }) {
  const { playground } = useTexts("playground");
  const isBusy = isAnswering(useStore(turns));
  return (
    <Alert variant="success" role="status">
      <CircleCheck aria-hidden />
      <span className="min-w-48 flex-1">
        {playground.approvedNow}{" "}
        <Link to="/unanswered" search={{ tab: "answers" }} className="underline underline-offset-2">
          {playground.toApproved}
        </Link>
      </span>
      <Button variant="outline" size="sm" className="text-foreground" disabled={isBusy} onClick={() => void ask(question)}>
        <RotateCcw aria-hidden /> {playground.askAgain}
      </Button>
    </Alert>
  );
}
