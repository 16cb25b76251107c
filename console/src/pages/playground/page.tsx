import { getRouteApi } from "@tanstack/react-router";

import { Page } from "@/layout/page";
import { useIsOwner } from "@/session/company";
import { useTexts } from "@/texts";
import { Tabs, TabsContent, TabsList, TabsTrigger } from "@/ui/tabs";

import { AskTab } from "./ask-tab";
import { GoldenTab } from "./golden-tab";
import { PromptsTab } from "./prompts-tab";

const route = getRouteApi("/app/playground");

/** Tries the assistant: as a customer, and with a draft of its prompts. */
export function PlaygroundPage() {
  const { playground } = useTexts("playground");
  const isOwner = useIsOwner();
  const { tab = "ask" } = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <Page title={playground.title} lead={isOwner ? playground.lead : playground.leadOfOthers}>
      {isOwner ? (
        <Tabs
          value={tab}
          onValueChange={(next) => void navigate({ search: next === "prompts" || next === "golden" ? { tab: next } : {} })}
          className="grid grid-cols-[minmax(0,1fr)] gap-4"
        >
          <TabsList className="w-fit" aria-label={playground.title}>
            <TabsTrigger value="ask">{playground.ask}</TabsTrigger>
            <TabsTrigger value="prompts">{playground.prompts}</TabsTrigger>
            <TabsTrigger value="golden">{playground.golden}</TabsTrigger>
          </TabsList>
          <TabsContent value="ask">
            <AskTab />
          </TabsContent>
          <TabsContent value="prompts">
            <PromptsTab />
          </TabsContent>
          <TabsContent value="golden">
            <GoldenTab />
          </TabsContent>
        </Tabs>
      ) : (
        <AskTab />
      )}
    </Page>
  );
}
