import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { CircleCheckBig } from "lucide-react";
import { lazy, Suspense, useId } from "react";

import { LoadMore } from "@/layout/load-more";
import { EmptyState, ErrorState, LoadingState } from "@/layout/states";
import { useFormat, useIsOwner } from "@/session/company";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Select } from "@/ui/input";

import { groupQuestions, type QuestionGroup } from "./grouping";
import { unansweredQuery } from "./queries";

const route = getRouteApi("/app/unanswered");
// Its form needs more code than the list: it is loaded when a question is opened.
const ApproveDialog = lazy(() => import("./approve-dialog").then(({ ApproveDialog: component }) => ({ default: component })));

export function QuestionsTab() {
  const { unanswered } = useTexts("unanswered");
  const isOwner = useIsOwner();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const list = useInfiniteQuery(unansweredQuery);
  const groups = groupQuestions(list.data?.pages.flatMap((page) => page.data) ?? [], search.sort ?? "often");
  const open = groups.find(({ ids }) => search.question !== undefined && ids.includes(search.question));
  const close = () => void navigate({ search: ({ sort }) => (sort ? { sort } : {}), replace: true });
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-4">
      {list.isPending && <LoadingState />}
      {list.isError && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
      {list.isSuccess && groups.length === 0 && (
        <EmptyState icon={CircleCheckBig} title={unanswered.empty}>
          <p>{unanswered.emptyHint}</p>
        </EmptyState>
      )}
      {groups.length > 0 && (
        <>
          <div className="flex flex-wrap items-center justify-between gap-3">
            <p className="text-sm text-muted-foreground">{unanswered.wordings(groups.length)}</p>
            <SortSelect />
          </div>
          <ul className="divide-y rounded-lg border bg-card">
            {groups.map((group) => (
              <QuestionRow key={group.newest.id} group={group} />
            ))}
          </ul>
          <LoadMore list={list} />
        </>
      )}
      <Suspense>{isOwner && open !== undefined && <ApproveDialog key={open.newest.id} group={open} onClose={close} />}</Suspense>
    </div>
  );
}

function SortSelect() {
  const { unanswered } = useTexts("unanswered");
  const { sort } = route.useSearch();
  const navigate = route.useNavigate();
  const id = useId();
  return (
    <div>
      <label htmlFor={id} className="sr-only">
        {unanswered.sort}
      </label>
      <Select
        id={id}
        className="w-auto"
        value={sort ?? "often"}
        onChange={(event) => void navigate({ search: event.target.value === "newest" ? { sort: "newest" } : {}, replace: true })}
      >
        <option value="often">{unanswered.sorts.often}</option>
        <option value="newest">{unanswered.sorts.newest}</option>
      </Select>
    </div>
  );
}

/** A question: how often, when, why it has no answer, and the one button that makes it answered next time. */
function QuestionRow({ group }: { group: QuestionGroup }) {
  const { unanswered } = useTexts("unanswered");
  const format = useFormat();
  const isOwner = useIsOwner();
  const { sort } = route.useSearch();
  const { newest, count } = group;
  const isQuota = newest.reason === "quota";
  return (
    <li className="flex flex-wrap items-start gap-x-4 gap-y-3 px-4 py-3 sm:flex-nowrap">
      <div className="grid min-w-0 flex-1 basis-60 gap-1">
        <p dir="auto" className="line-clamp-3 font-medium [overflow-wrap:anywhere] whitespace-pre-line">
          {newest.question}
        </p>
        <p className="flex flex-wrap items-center gap-x-2 gap-y-1 text-sm text-muted-foreground">
          {count > 1 && <Badge variant="default">{unanswered.asked(count)}</Badge>}
          <span>{(count > 1 ? unanswered.last : unanswered.once)(format.dateTime(newest.created_at))}</span>
          <span>· {unanswered.channels[newest.channel] ?? newest.channel}</span>
        </p>
        <p className="text-sm text-muted-foreground">{isQuota ? unanswered.why.quota : unanswered.why.notFound}</p>
      </div>
      {isOwner && (
        <Button size="sm" asChild>
          <Link to="/unanswered" search={{ question: newest.id, ...(sort && { sort }) }} aria-label={unanswered.answerOf(newest.question.slice(0, 80))}>
            {unanswered.answerIt}
          </Link>
        </Button>
      )}
    </li>
  );
}
