import type { Schemas } from "@/api/client";
import { createStore } from "@/lib/store";

type WaitingCount = Schemas["WaitingCount"];

export const NOTHING_WAITS: WaitingCount = { count: 0, has_more: false };

/** Number of conversations that wait for a person, shown in the page's title and in the navigation. */
export const waitingCount = createStore(NOTHING_WAITS);

/** The number as a badge shows it: "99+" where more wait than are counted. */
export const shownCount = ({ count, has_more }: WaitingCount): string => `${count}${has_more ? "+" : ""}`;
