import { getRouteApi } from "@tanstack/react-router";

import { Page } from "@/layout/page";
import { useIsOwner } from "@/session/company";
import { useTexts } from "@/texts";
import { Tabs, TabsContent, TabsList, TabsTrigger } from "@/ui/tabs";

import { AnswersTab } from "./answers-tab";
import { QuestionsTab } from "./questions-tab";

const route = getRouteApi("/app/unanswered");

/** The page of unanswered questions and of approved answers. */
export function UnansweredPage() {
  const { unanswered } = useTexts("unanswered");
  const isOwner = useIsOwner();
  const { tab = "questions" } = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <Page title={unanswered.title} lead={isOwner ? unanswered.lead : unanswered.leadOfOthers}>
      {isOwner ? (
        <Tabs value={tab} onValueChange={(next) => void navigate({ search: next === "answers" ? { tab: "answers" } : {} })} className="grid gap-4">
          <TabsList className="w-fit" aria-label={unanswered.title}>
            <TabsTrigger value="questions">{unanswered.questions}</TabsTrigger>
            <TabsTrigger value="answers">{unanswered.answers}</TabsTrigger>
          </TabsList>
          <TabsContent value="questions">
            <QuestionsTab />
          </TabsContent>
          <TabsContent value="answers">
            <AnswersTab />
          </TabsContent>
        </Tabs>
      ) : (
        <QuestionsTab />
      )}
    </Page>
  );
}
