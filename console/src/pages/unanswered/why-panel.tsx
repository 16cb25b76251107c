import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Search } from "lucide-react";

import { call, client, type Schemas } from "@/api/client";
import { FormError } from "@/layout/form-error";
import { documentsQuery } from "@/pages/documents/queries";
import { UnreadPages } from "@/pages/documents/unread-pages";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";

import type { QuestionGroup } from "./grouping";

type PreviewAnswer = Schemas["PreviewAnswer"];

/** Documents with gaps that are named; more would hide the answer's field. */
const MAX_NAMED_DOCUMENTS = 3;

/** Says why nothing was answered, and looks again with the documents of today. */
export function WhyPanel({ group, onUse }: { group: QuestionGroup; onUse: (passage: string) => void }) {
  const { unanswered } = useTexts("unanswered");
  const format = useFormat();
  const { newest, count } = group;
  const isQuota = newest.reason === "quota";
  const again = useMutation({
    meta: { showsError: true },
    mutationFn: async () =>
      (await call(client.POST("/api/v1/companies/me/config/preview", { body: { question: newest.question, mode: "rag" } }))).data.answer ?? null,
  });
  return (
    <section aria-label={unanswered.whyTitle} className="grid grid-cols-[minmax(0,1fr)] gap-3 rounded-md bg-muted px-4 py-3 text-sm">
      <blockquote dir="auto" className="max-h-40 overflow-y-auto font-medium [overflow-wrap:anywhere] whitespace-pre-line">
        {newest.question}
      </blockquote>
      <p className="text-muted-foreground">
        {count > 1
          ? `${unanswered.asked(count)} · ${unanswered.last(format.dateTime(newest.created_at))}`
          : unanswered.once(format.dateTime(newest.created_at))}
        {newest.channel === "whatsapp" && (
          <>
            {" · "}
            <Link to="/inbox" search={{ conversation: newest.conversation_id }} className="underline underline-offset-2">
              {unanswered.openConversation}
            </Link>
          </>
        )}
      </p>
      <p>
        <strong className="font-semibold">{unanswered.whyTitle}</strong> {isQuota ? unanswered.why.quota : unanswered.why.notFound}{" "}
        {isQuota ? unanswered.whatToDo.quota : unanswered.whatToDo.notFound}
      </p>
      {!isQuota && <Gaps />}
      {again.data !== undefined && again.data !== null ? (
        <LookedAgain answer={again.data} onUse={onUse} />
      ) : (
        <Button variant="outline" size="sm" className="justify-self-start" isBusy={again.isPending} onClick={() => again.mutate()}>
          <Search aria-hidden /> {unanswered.lookAgain}
        </Button>
      )}
      <FormError error={again.error} />
    </section>
  );
}

/** The answer may stand on a page that was not read. */
function Gaps() {
  const { unanswered } = useTexts("unanswered");
  const list = useInfiniteQuery(documentsQuery(undefined));
  const documents = list.data?.pages[0]?.data ?? [];
  const withGaps = documents.filter(({ pages_unread: pages }) => pages.length > 0);
  const failed = documents.filter(({ status }) => status === "failed").length;
  if (list.isSuccess && documents.length === 0) return <p>{unanswered.noDocuments}</p>;
  if (withGaps.length === 0 && failed === 0) return null;
  return (
    <div className="grid gap-2">
      {failed > 0 && (
        <p>
          <Link to="/documents" search={{ status: "failed" }} className="underline underline-offset-2">
            {unanswered.failedDocuments(failed)}
          </Link>
        </p>
      )}
      {withGaps.slice(0, MAX_NAMED_DOCUMENTS).map((document) => (
        <div key={document.id}>
          <p className="[overflow-wrap:anywhere]">
            <bdi>{document.filename}</bdi>
          </p>
          <UnreadPages document={document} />
        </div>
      ))}
    </div>
  );
}

function LookedAgain({ answer, onUse }: { answer: PreviewAnswer; onUse: (passage: string) => void }) {
  const { unanswered } = useTexts("unanswered");
  if (!answer.answered) {
    return (
      <Alert variant="warning" role="status">
        {answer.model === "none" ? unanswered.noModel : unanswered.stillNothing}
      </Alert>
    );
  }
  return (
    <div role="status" className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <Alert variant="success">{unanswered.answeredNow}</Alert>
      <p dir="auto" className="[overflow-wrap:anywhere] whitespace-pre-line">
        {answer.answer}
      </p>
      <ul className="grid gap-2">
        {answer.citations.map((citation) => (
          <li key={citation.number} className="grid gap-2 rounded-md border bg-card px-3 py-2">
            <p dir="auto" className="[overflow-wrap:anywhere] whitespace-pre-line">
              {citation.snippet}
            </p>
            <div className="flex flex-wrap items-center justify-between gap-2">
              <Link
                to="/documents/$documentId"
                params={{ documentId: citation.document_id }}
                search={citation.page == null ? {} : { page: citation.page }}
                className="min-w-0 text-muted-foreground underline underline-offset-2 [overflow-wrap:anywhere]"
              >
                <bdi>{citation.filename}</bdi>, {citation.location}
              </Link>
              <Button variant="outline" size="sm" onClick={() => onUse(citation.snippet)}>
                {unanswered.usePassage}
              </Button>
            </div>
          </li>
        ))}
      </ul>
    </div>
  );
}
