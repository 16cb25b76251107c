/** Computations of the pages about outgoing webhooks: states, addresses, times. */
import type { Schemas } from "@/api/client";

export type Endpoint = Schemas["WebhookEndpoint"];
export type Delivery = Schemas["WebhookDelivery"];
export type EventType = Schemas["EventType"];

export const MAX_ENDPOINTS = 5;
const MAX_URL_CHARS = 2_000;

/** The events that an endpoint can ask for, in the order of the page. */
export const EVENT_TYPES = [
  "message.received",
  "conversation.handed_over",
  "conversation.waiting",
  "order.created",
  "order.updated",
  "document.processed",
  "document.failed",
  "quota.warning",
  "quota.exhausted",
  "subscription.changed",
] as const satisfies readonly EventType[];

/** Fails to compile when the API has an event that the list lacks. */
type Missing = Exclude<EventType, (typeof EVENT_TYPES)[number]>;
export const NO_EVENT_IS_MISSING: Missing extends never ? true : never = true;

export const DELIVERY_STATUSES = ["pending", "delivered", "failed"] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

export type EndpointStatus = "active" | "failing" | "off";

export function statusOf({ enabled, failing_since }: Pick<Endpoint, "enabled" | "failing_since">): EndpointStatus {
  if (!enabled) return "off";
  return failing_since == null ? "active" : "failing";
}

export type UrlProblem = "invalid" | "https" | "credentials" | "port" | "long";

/** Returns the reason for which the API would refuse a URL, as far as its text shows one; else null. */
export function urlProblem(text: string): UrlProblem | null {
  const typed = text.trim();
  if (typed.length > MAX_URL_CHARS) return "long";
  if (!URL.canParse(typed)) return "invalid";
  const url = new URL(typed);
  if (url.protocol !== "https:") return "https";
  if (url.username !== "" || url.password !== "") return "credentials";
  return url.port === "" || url.port === "8443" ? null : "port";
}

const SOON_MS = 15_000;
const OVERDUE_MS = 30_000;
/** Longer than the server's claim of a delivery, during which `next_attempt_at` is the end of the claim. */
const ATTEMPT_MS = 120_000;
const MIN_LOOK_MS = 1_000;
const ATTEMPT_LOOK_MS = 3_000;
const RARE_LOOK_MS = 60_000;

/** True while an attempt is in work or comes within 15 seconds. */
export function isBeingSent({ status, next_attempt_at, attempts, error_code }: Delivery, now: number): boolean {
  if (status !== "pending") return false;
  const isInWork = attempts > 0 && error_code == null;
  return isInWork || next_attempt_at == null || Date.parse(next_attempt_at) - now < SOON_MS;
}

/** Returns the milliseconds until the list is fetched again; false when no delivery in it waits. */
export function nextLookMs(deliveries: readonly Delivery[], now: number): number | false {
  const waits = deliveries
    .filter(({ status }) => status === "pending")
    .map(({ next_attempt_at }) => (next_attempt_at == null ? 0 : Date.parse(next_attempt_at) - now));
  if (waits.length === 0) return false;
  const first = Math.min(...waits);
  // An attempt that is overdue waits for an endpoint that asked for a pause, or that failed before.
  if (first < -OVERDUE_MS) return SOON_MS;
  if (first > ATTEMPT_MS) return RARE_LOOK_MS;
  return Math.min(Math.max(first, MIN_LOOK_MS), ATTEMPT_LOOK_MS);
}

export const REPLAY_PERIODS = { hour: 3_600_000, day: 86_400_000, week: 7 * 86_400_000, month: 30 * 86_400_000 } as const;
export type ReplayPeriod = keyof typeof REPLAY_PERIODS;

export const replaySince = (period: ReplayPeriod, now: number): string => new Date(now - REPLAY_PERIODS[period]).toISOString();

/** Seconds for which the present secret may go on signing. */
export const GRACES = [86_400, 3_600, 604_800, 0] as const;

/** True while a secret before the present one signs: then the API refuses another rotation with a grace period. */
export const isRotating = (endpoint: Pick<Endpoint, "previous_secret_expires_at">, now: number): boolean =>
  endpoint.previous_secret_expires_at != null && Date.parse(endpoint.previous_secret_expires_at) > now;
