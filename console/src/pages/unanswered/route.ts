import { createRoute } from "@tanstack/react-router";
import { MessageCircleQuestion } from "lucide-react";

import type { NavigationEntry } from "@/layout/navigation";
import { lazyPage } from "@/lib/lazy-page";
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
  // Invalid values are returned as undefined: the router would keep a parameter that the result does not name.
  validateSearch: ({ tab, question, sort }: Record<string, unknown>): UnansweredSearch => ({
    tab: tab === "answers" ? tab : undefined,
    question: typeof question === "string" ? question : undefined,
    sort: sort === "newest" ? sort : undefined,
  }),
  component: lazyPage(() => import("./page"), "UnansweredPage", "unanswered", "document", "documents"),
});

export const unansweredEntry: NavigationEntry = {
  to: "/unanswered",
  label: ({ navigation }) => navigation.unanswered,
  icon: MessageCircleQuestion,
};
