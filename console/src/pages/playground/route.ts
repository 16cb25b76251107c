import { createRoute } from "@tanstack/react-router";
import { FlaskConical } from "lucide-react";

import type { NavigationEntry } from "@/layout/navigation";
import { lazyPage } from "@/lib/lazy-page";
import { appRoute } from "@/routes";

export type PlaygroundTab = "ask" | "prompts" | "golden";

interface PlaygroundSearch {
  tab?: Exclude<PlaygroundTab, "ask">;
}

export const playgroundRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/playground",
  // Invalid values are returned as undefined: the router would keep a parameter that the result does not name.
  validateSearch: ({ tab }: Record<string, unknown>): PlaygroundSearch => ({
    tab: tab === "prompts" || tab === "golden" ? tab : undefined,
  }),
  component: lazyPage(() => import("./page"), "PlaygroundPage", "playground", "unanswered", "document"),
});

export const playgroundEntry: NavigationEntry = {
  to: "/playground",
  label: ({ navigation }) => navigation.playground,
  icon: FlaskConical,
};
