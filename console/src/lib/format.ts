import type { Language } from "@/texts";

/** Settings of the formats of numbers, money and dates: the reader's language, the company's currency and timezone. */
export interface FormatSettings {
  language: Language;
  currency: string;
  timezone: string;
}

const LOCALES: Record<Language, string> = { fr: "fr-FR", en: "en-GB" };
const BYTE_UNITS = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;
const MS_PER = { day: 86_400_000, hour: 3_600_000, minute: 60_000 } as const;

export interface Format {
  number: (value: number) => string;
  /** A share between 0 and 1. */
  percent: (share: number) => string;
  /** A decimal amount, as the API sends it; by default in the company's currency. */
  money: (amount: string | number, currency?: string) => string;
  /** An amount in cents. */
  moneyOfCents: (cents: number, currency: string) => string;
  /** An amount in millionths of a US dollar, as costs of models are counted. */
  moneyOfMicros: (micros: number) => string;
  bytes: (bytes: number) => string;
  date: (iso: string) => string;
  dateTime: (iso: string) => string;
  /** Date and time with the name of their timezone, for what is shown inside and outside of a company. */
  dateTimeInZone: (iso: string) => string;
  time: (iso: string) => string;
  /** The time of today, else the date. */
  short: (iso: string, now?: Date) => string;
  /** "3 minutes ago", by the largest unit. */
  relative: (iso: string, now?: Date) => string;
  /** A calendar day (`2026-11-29`), which belongs to no timezone. */
  day: (date: string) => string;
  /** The calendar day of a time in the company's timezone, as `2026-11-29`. */
  dayOf: (iso: string) => string;
}

export function createFormat({ language, currency, timezone }: FormatSettings): Format {
  const locale = LOCALES[language];
  const inZone = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat(locale, { ...options, timeZone: knownTimezone(timezone) });
  const number = new Intl.NumberFormat(locale);
  const percent = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 });
  const date = inZone({ day: "numeric", month: "short", year: "numeric" });
  const dayAndTime = { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" } as const;
  const dateTime = inZone(dayAndTime);
  const dateTimeInZone = inZone({ ...dayAndTime, timeZoneName: "short" });
  const time = inZone({ hour: "2-digit", minute: "2-digit" });
  const dayAndMonth = inZone({ day: "numeric", month: "short" });
  const calendarDay = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
  const isoDay = new Intl.DateTimeFormat("en-CA", { year: "numeric", month: "2-digit", day: "2-digit", timeZone: knownTimezone(timezone) });
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  const dayOf = (iso: string) => isoDay.format(new Date(iso));

  return {
    number: (value) => number.format(value),
    percent: (share) => percent.format(share),
    money: (amount, of = currency) => money(locale, of).format(exact(amount)),
    moneyOfCents: (cents, of) => money(locale, of).format(cents / 100),
    moneyOfMicros: (micros) => money(locale, "USD", 4).format(micros / 1_000_000),
    bytes: (bytes) => formatBytes(locale, bytes),
    date: (iso) => date.format(new Date(iso)),
    dateTime: (iso) => dateTime.format(new Date(iso)),
    dateTimeInZone: (iso) => dateTimeInZone.format(new Date(iso)),
    time: (iso) => time.format(new Date(iso)),
    short: (iso, now = new Date()) =>
      dayOf(iso) === dayOf(now.toISOString()) ? time.format(new Date(iso)) : dayAndMonth.format(new Date(iso)),
    relative: (iso, now = new Date()) => formatRelative(relative, new Date(iso).getTime() - now.getTime()),
    day: (day) => calendarDay.format(new Date(`${day}T00:00:00Z`)),
    dayOf,
  };
}

/** Amounts are decimal texts: a number would lose digits of large ones. */
function exact(amount: string | number): number | Intl.StringNumericLiteral {
  return typeof amount === "number" ? amount : (amount as Intl.StringNumericLiteral);
}

function money(locale: string, currency: string, digits?: number): Intl.NumberFormat {
  const fraction = digits === undefined ? {} : { maximumFractionDigits: digits };
  return new Intl.NumberFormat(locale, { style: "currency", currency, ...fraction });
}

function formatBytes(locale: string, bytes: number): string {
  const power = bytes < 1000 ? 0 : Math.min(BYTE_UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const unit = BYTE_UNITS[power] ?? "byte";
  const options = { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: power < 2 ? 0 : 1 } as const;
  return new Intl.NumberFormat(locale, options).format(bytes / 1000 ** power);
}

function formatRelative(relative: Intl.RelativeTimeFormat, ms: number): string {
  const size = Math.abs(ms);
  if (size >= MS_PER.day) return relative.format(Math.trunc(ms / MS_PER.day), "day");
  if (size >= MS_PER.hour) return relative.format(Math.trunc(ms / MS_PER.hour), "hour");
  return relative.format(Math.trunc(ms / MS_PER.minute), "minute");
}

/** The timezone, or UTC where the browser does not know it. */
function knownTimezone(timezone: string): string {
  try {
    new Intl.DateTimeFormat("en", { timeZone: timezone });
    return timezone;
  } catch {
    return "UTC";
  }
}
