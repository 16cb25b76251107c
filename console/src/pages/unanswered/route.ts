import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { MessageCircleQuestion } from "lucide-react";

import type { NavigationEntry } from "@/layout/navigation";
import { appRoute } from "@/routes";

export type UnansweredTab = "questions" | "answers";

interface UnansweredSearch {
  tab?: "answers";
  /** The question whose answer is being written. */
  question?: string;
  sort?: "newest";
}

export const unansweredRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/unanswered",
  validateSearch: ({ tab, question, sort }: Record<string, unknown>): UnansweredSearch => ({
    ...(tab === "answers" && { tab }),
    ...(typeof question === "string" && { question }),
    ...(sort === "newest" && { sort }),
  }),
  component: lazyRouteComponent(() => import("./page"), "UnansweredPage"),
});

export const unansweredEntry: NavigationEntry = {
  to: "/unanswered",
  label: (texts) => texts.unanswered.title,
  icon: MessageCircleQuestion,
};
