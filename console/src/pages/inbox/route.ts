import { createRoute } from "@tanstack/react-router";
import { Inbox } from "lucide-react";

import type { NavigationEntry } from "@/layout/navigation";
import { lazyPage } from "@/lib/lazy-page";
import { appRoute } from "@/routes";

import { WaitingBadge } from "./waiting-badge";

/** Filters of the list of conversations. Without a filter, it shows all. */
export const FILTERS = ["waiting", "human", "unanswered"] as const;
export type Filter = (typeof FILTERS)[number];

export interface InboxSearch {
  filter?: Filter | undefined;
  /** A name or a phone number. */
  q?: string | undefined;
  /** The open conversation. */
  conversation?: string | undefined;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Reads the search parameters. Invalid ones are undefined by name: the router would pass on a parameter that is not named. */
export function readSearch(search: Record<string, unknown>): InboxSearch {
  const filter = FILTERS.find((known) => known === search["filter"]);
  // A number in the address, such as a phone number, is read as one.
  const q = typeof search["q"] === "number" ? String(search["q"]) : search["q"];
  const conversation = search["conversation"];
  return {
    filter,
    q: typeof q === "string" && q.trim() !== "" ? q.slice(0, 200) : undefined,
    conversation: typeof conversation === "string" && UUID.test(conversation) ? conversation : undefined,
  };
}

/** The address without one of its parts. */
export function without(search: InboxSearch, part: keyof InboxSearch): InboxSearch {
  return Object.fromEntries(Object.entries(search).filter(([name]) => name !== part));
}

export const inboxRoute = createRoute({
  getParentRoute: () => appRoute,
  path: "/inbox",
  validateSearch: readSearch,
  component: lazyPage(() => import("./page"), "InboxPage", "inbox"),
});

export const inboxEntry: NavigationEntry = {
  to: "/inbox",
  label: ({ navigation }) => navigation.inbox,
  icon: Inbox,
  badge: WaitingBadge,
};
