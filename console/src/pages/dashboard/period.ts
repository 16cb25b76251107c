/** The period of the dashboard, and how its days are grouped. Days are texts such as `2026-11-29`, in the company's timezone. */
import type { Schemas } from "@/api/client";
import { dayOf } from "@/lib/search";

export type Figures = Schemas["Figures"];
export type DayStats = Schemas["DayStats"];

export const PRESETS = [7, 30, 90, 365] as const;
const DEFAULT_DAYS = 30;
/** The API's limit of a range. */
export const MAX_DAYS = 366;
/** More days than this are shown by weeks, as a bar needs some pixels. */
const MAX_DAILY_BARS = 92;
const DAY_MS = 86_400_000;

/** Search parameters of the dashboard: a number of last days, or a first and a last day. */
export interface DashboardSearch {
  days?: (typeof PRESETS)[number] | undefined;
  from?: string | undefined;
  to?: string | undefined;
}

export interface Period {
  from: string;
  to: string;
}

/** Reads the search parameters. Invalid ones are undefined by name: the router would pass on a parameter that is not named. */
export function parseDashboardSearch(raw: Record<string, unknown>): DashboardSearch {
  const from = dayOf(raw["from"]);
  const to = dayOf(raw["to"]);
  if (from !== undefined && to !== undefined && isRange({ from, to })) return { from, to, days: undefined };
  const days = PRESETS.find((preset) => preset === raw["days"]);
  return { days: days === DEFAULT_DAYS ? undefined : days, from: undefined, to: undefined };
}

/** True for days in their order, no more than the API takes. */
export const isRange = (period: Period): boolean => lengthOf(period) >= 1 && lengthOf(period) <= MAX_DAYS;

export function addDays(day: string, n: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + n * DAY_MS).toISOString().slice(0, 10);
}

/** Number of days, both ends included. */
export function lengthOf({ from, to }: Period): number {
  return Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / DAY_MS) + 1;
}

export function periodOf({ days = DEFAULT_DAYS, from, to }: DashboardSearch, today: string): Period {
  return from !== undefined && to !== undefined ? { from, to } : { from: addDays(today, 1 - days), to: today };
}

/** The period of the same length before. */
export function periodBefore(period: Period): Period {
  const days = lengthOf(period);
  return { from: addDays(period.from, -days), to: addDays(period.to, -days) };
}

/** The bars of a chart: one for each day, or for each seven days of a long period. The first one may be shorter. */
export interface Bucket {
  from: string;
  to: string;
  days: DayStats[];
}

export function bucketsOf(days: readonly DayStats[]): Bucket[] {
  const size = days.length > MAX_DAILY_BARS ? 7 : 1;
  const buckets: Bucket[] = [];
  // From the end, so that the last bar is as long as the others.
  for (let end = days.length; end > 0; end -= size) {
    const part = days.slice(Math.max(0, end - size), end);
    const [first, last] = [part[0], part.at(-1)];
    if (first && last) buckets.unshift({ from: first.date, to: last.date, days: part });
  }
  return buckets;
}

export const sum = (bucket: Bucket, figure: (day: DayStats) => number): number => bucket.days.reduce((total, day) => total + figure(day), 0);

/** Revenue in a currency. Only for the height of bars and sums on the page: a number may lose the last digit of a fortune. */
export const revenueIn = (currency: string) => (figures: Figures) =>
  figures.revenue.reduce((total, revenue) => total + (revenue.currency === currency ? Number(revenue.amount) : 0), 0);

/** The change against the period before, as a share; null where nothing was before. */
export const changeOf = (now: number, before: number | undefined): number | null =>
  before === undefined || before === 0 ? null : (now - before) / Math.abs(before);
