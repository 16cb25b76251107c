import { Link, useNavigate } from "@tanstack/react-router";
import { CircleCheck, Circle, Gift, PartyPopper } from "lucide-react";
import { lazy, type ReactNode, Suspense, useEffect, useId, useRef, useState } from "react";

import { OwnersOnly } from "@/layout/owners-only";
import { Page } from "@/layout/page";
import { ErrorState, LoadingState } from "@/layout/states";
import { showDone } from "@/layout/toasts";
import { cn } from "@/lib/cn";
import { useCompany, useIsOwner } from "@/session/company";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Progress as ProgressBar } from "@/ui/progress";

import { AskStep } from "./ask-step";
import { hideStart } from "./hidden";
import { PlanStep } from "./plan-step";
import { nextStep, type Progress, type Step, STEPS, useProgress } from "./progress";
import { UploadStep } from "./upload-step";

// Forms need more code than the rest of the page: they are loaded when their step is opened.
const InviteStep = lazy(() => import("./invite-step").then(({ InviteStep: component }) => ({ default: component })));
const ManychatStep = lazy(() => import("./manychat-step").then(({ ManychatStep: component }) => ({ default: component })));

/** The checklist of a new company. */
export function StartPage() {
  const { start } = useTexts("start");
  return useIsOwner() ? <Start /> : <OwnersOnly title={start.title}>{start.ownersOnly}</OwnersOnly>;
}

function Start() {
  const { start } = useTexts("start");
  const { progress, error, retry } = useProgress();
  return (
    <Page title={start.title} lead={start.lead}>
      {progress === undefined && error === null && <LoadingState />}
      {progress === undefined && error !== null && <ErrorState error={error} onRetry={retry} />}
      {progress !== undefined && <Checklist progress={progress} />}
    </Page>
  );
}

function Checklist({ progress }: { progress: Progress }) {
  const { start } = useTexts("start");
  const next = nextStep(progress);
  const done = STEPS.filter((step) => progress[step]).length;
  const bodies: Record<Step, ReactNode> = {
    upload: <UploadStep />,
    ask: <AskStep hasDocument={progress.upload} isDone={progress.ask} />,
    manychat: <ManychatStep />,
    invite: <InviteStep />,
    plan: <PlanStep />,
  };
  return (
    <div className="grid max-w-3xl min-w-0 gap-4">
      <div className="flex items-center gap-3" role="status">
        <ProgressBar label={start.title} share={done / STEPS.length} className="max-w-60" />
        <span className="text-sm text-muted-foreground">{start.progress(done, STEPS.length)}</span>
      </div>
      <FreeQuestions />
      {next === null && <AllDone />}
      <ol className="grid min-w-0 gap-3">
        {STEPS.map((step, at) => (
          <StepCard key={step} step={step} number={at + 1} isDone={progress[step]} isNext={step === next}>
            {bodies[step]}
          </StepCard>
        ))}
      </ol>
      {next !== null && <HideButton />}
    </div>
  );
}

/** How many free questions the account has, and what happens after them. Nothing on a paid plan. */
function FreeQuestions() {
  const { start } = useTexts("start");
  const { plan, quota } = useCompany();
  if (plan.name !== "free") return null;
  const { free_quota_limit: limit, free_quota_used: used } = quota;
  return (
    <Alert className="items-start">
      <Gift aria-hidden className="mt-0.5" />
      <p className="min-w-0 flex-1 basis-60">
        <strong className="font-semibold">{start.free.title(limit)}</strong> {used > 0 && `${start.free.left(Math.max(0, limit - used))} `}
        {start.free.text}
      </p>
    </Alert>
  );
}

function AllDone() {
  const { start } = useTexts("start");
  return (
    <Alert variant="success">
      <PartyPopper aria-hidden />
      <span className="min-w-0 flex-1">
        <strong className="font-semibold">{start.allDone}.</strong> {start.allDoneHint}
      </span>
      <Button size="sm" asChild>
        <Link to="/inbox">{start.toInbox}</Link>
      </Button>
    </Alert>
  );
}

function HideButton() {
  const { start } = useTexts("start");
  const { tenant } = useCompany();
  const navigate = useNavigate();
  const hide = () => {
    hideStart(tenant.id);
    showDone(start.hidden);
    void navigate({ to: "/inbox" });
  };
  return (
    <Button variant="ghost" className="justify-self-start text-muted-foreground" onClick={hide}>
      {start.hide}
    </Button>
  );
}

interface StepCardProps {
  step: Step;
  number: number;
  isDone: boolean;
  isNext: boolean;
  children: ReactNode;
}

/** A step that opens and closes. The next one opens by itself; one that gets done while it is open stays so. */
function StepCard({ step, number, isDone, isNext, children }: StepCardProps) {
  const { start } = useTexts("start");
  const id = useId();
  const card = useRef<HTMLLIElement>(null);
  const [isNamed] = useState(() => window.location.hash === `#${step}`);
  const [isOpen, setOpen] = useState(isNext || isNamed);
  const [wasNext, setWasNext] = useState(isNext);
  if (isNext !== wasNext) {
    setWasNext(isNext);
    if (isNext) setOpen(true);
  }
  useEffect(() => {
    if (isNamed) card.current?.scrollIntoView({ block: "start" });
  }, [isNamed]);
  return (
    <li id={step} ref={card} className="min-w-0 scroll-mt-4">
      <Card className={cn("min-w-0", isNext && "border-primary")}>
        <h2>
          <button
            type="button"
            aria-expanded={isOpen}
            aria-controls={id}
            onClick={() => setOpen(!isOpen)}
            className="flex w-full items-center gap-3 rounded-lg px-5 py-4 text-left"
          >
            {isDone ? <CircleCheck aria-hidden className="size-5 shrink-0 text-success" /> : <Circle aria-hidden className="size-5 shrink-0 text-muted-foreground" />}
            <span className="min-w-0 flex-1 text-base font-semibold">
              {number}. {start[step].title}
            </span>
            <span className={cn("shrink-0 text-sm", isDone ? "text-success" : "text-muted-foreground")}>{isDone ? start.done : start.toDo}</span>
          </button>
        </h2>
        <div id={id} hidden={!isOpen} className="min-w-0 px-5 pb-5 sm:pl-13">
          {isOpen && <Suspense fallback={<LoadingState rows={2} />}>{children}</Suspense>}
        </div>
      </Card>
    </li>
  );
}
