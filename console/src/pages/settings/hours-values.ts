import type { Schemas } from "@/api/client";

export const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
export type Day = (typeof DAYS)[number];

/** Opening times of a day, as `HH:MM`; `00:00` as an end is the end of the day. */
export interface Span {
  from: string;
  to: string;
}
export type Hours = Record<Day, Span[]>;

type ServerHours = Schemas["BusinessHours"];

const END_OF_DAY = "24:00";
const MIDNIGHT = "00:00";

/** The days that can take over Monday's times together: in many countries, shops are open on Saturday, too. */
export const COPY_TARGETS = {
  weekdays: ["tue", "wed", "thu", "fri"],
  withSaturday: ["tue", "wed", "thu", "fri", "sat"],
  all: ["tue", "wed", "thu", "fri", "sat", "sun"],
} as const satisfies Record<string, readonly Day[]>;
export type CopyTarget = keyof typeof COPY_TARGETS;

/** Copies Monday's times to other days, in place of theirs. */
export function copyMonday(hours: Hours, target: CopyTarget): Hours {
  const copied: Hours = { ...hours };
  for (const day of COPY_TARGETS[target]) copied[day] = hours.mon.map((span) => ({ ...span }));
  return copied;
}

/** Reads the server's hours: a missing day is a closed one. */
export function hoursOf(server: ServerHours | null | undefined): Hours {
  const spans = (day: Day): Span[] =>
    (server?.[day] ?? []).map(([from = MIDNIGHT, to = MIDNIGHT]) => ({ from, to: to === END_OF_DAY ? MIDNIGHT : to }));
  return { mon: spans("mon"), tue: spans("tue"), wed: spans("wed"), thu: spans("thu"), fri: spans("fri"), sat: spans("sat"), sun: spans("sun") };
}

/** Writes the hours for the server. An input of a time knows no 24:00, so an end at 00:00 is written so. */
export function serverHoursOf(hours: Hours): ServerHours {
  const open = DAYS.filter((day) => hours[day].length > 0);
  return Object.fromEntries(open.map((day) => [day, hours[day].map(({ from, to }) => [from, to === MIDNIGHT ? END_OF_DAY : to])]));
}

/** True for a span that ends on the next day. */
export function endsNextDay({ from, to }: Span): boolean {
  return to !== MIDNIGHT && to !== "" && from !== "" && to < from;
}

/** Returns the days whose times are not usable: a time is missing, or begin and end are one. */
export function faultyDays(hours: Hours): Day[] {
  const isFaulty = ({ from, to }: Span) => from === "" || to === "" || (from === to && from !== MIDNIGHT);
  return DAYS.filter((day) => hours[day].some(isFaulty));
}

/** A sensible next span of a day: the whole working day first, then the afternoon. */
export function nextSpan(spans: readonly Span[]): Span {
  const last = spans.at(-1);
  if (last === undefined) return { from: "08:00", to: "18:00" };
  return last.to >= "18:00" || last.to === MIDNIGHT ? { from: "20:00", to: "23:00" } : { from: last.to, to: "18:00" };
}
