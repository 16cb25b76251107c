import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { FlaskConical } from "lucide-react";

import type { NavigationEntry } from "@/layout/navigation";
import { appRoute } from "@/routes";

export type PlaygroundTab = "ask" | "prompts" | "golden";

interface PlaygroundSearch {
  tab?: Exclude<PlaygroundTab, "ask">;
}

export const playgroundRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/playground",
  validateSearch: ({ tab }: Record<string, unknown>): PlaygroundSearch => (tab === "prompts" || tab === "golden" ? { tab } : {}),
  component: lazyRouteComponent(() => import("./page"), "PlaygroundPage"),
});

export const playgroundEntry: NavigationEntry = {
  to: "/playground",
  label: (texts) => texts.playground.title,
  icon: FlaskConical,
};
