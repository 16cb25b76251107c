import { describe, expect, it } from "vitest";

import { createFormat } from "./format";

/** Intl separates by no-break spaces of two kinds, which a test cannot show. */
const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, " ");
const fr = createFormat({ language: "fr", currency: "XOF", timezone: "Africa/Abidjan" });
const en = createFormat({ language: "en", currency: "EUR", timezone: "Europe/Paris" });

describe("money", () => {
  it("uses the company's currency, with the digits that the currency has", () => {
    expect(plain(fr.money("2500"))).toBe("2 500 F CFA");
    expect(plain(en.money("12.5"))).toBe("€12.50");
  });

  it("keeps every digit of a decimal text", () => {
    expect(plain(en.money("90071992547409931.25"))).toBe("€90,071,992,547,409,931.25");
  });

  it("takes another currency, cents and millionths of a dollar", () => {
    expect(plain(fr.money("10", "EUR"))).toBe("10,00 €");
    expect(plain(en.moneyOfCents(2900, "usd"))).toBe("US$29.00");
    expect(plain(en.moneyOfMicros(1234))).toBe("US$0.0012");
  });
});

describe("times", () => {
  it("are in the company's timezone", () => {
    expect(plain(fr.dateTime("2026-11-29T23:30:00Z"))).toBe("29 nov. 2026, 23:30");
    expect(plain(en.dateTime("2026-11-29T23:30:00Z"))).toBe("30 Nov 2026, 00:30");
    expect(en.dayOf("2026-11-29T23:30:00Z")).toBe("2026-11-30");
  });

  it("name their timezone where the company's is not known by the reader", () => {
    const outside = createFormat({ language: "en", currency: "USD", timezone: "UTC" });
    expect(plain(en.dateTimeInZone("2026-11-29T23:30:00Z"))).toBe("30 Nov 2026, 00:30 CET");
    expect(plain(outside.dateTimeInZone("2026-11-29T23:30:00Z"))).toBe("29 Nov 2026, 23:30 UTC");
    expect(plain(fr.dateTimeInZone("2026-11-29T23:30:00Z"))).toBe("29 nov. 2026, 23:30 UTC+0");
  });

  it("are short: the time of today, else the day", () => {
    const now = new Date("2026-11-29T12:00:00Z");
    expect(en.short("2026-11-29T08:05:00Z", now)).toBe("09:05");
    expect(en.short("2026-11-28T08:05:00Z", now)).toBe("28 Nov");
  });

  it("are relative by the largest unit", () => {
    const now = new Date("2026-11-29T12:00:00Z");
    expect(en.relative("2026-11-29T11:57:00Z", now)).toBe("3 minutes ago");
    expect(fr.relative("2026-11-27T12:00:00Z", now)).toBe("avant-hier");
  });

  it("a calendar day belongs to no timezone", () => {
    const west = createFormat({ language: "en", currency: "USD", timezone: "America/New_York" });
    expect(west.day("2026-11-29")).toBe("29 Nov 2026");
  });

  it("an unknown timezone is UTC", () => {
    expect(createFormat({ language: "en", currency: "USD", timezone: "Mars/Base" }).time("2026-11-29T12:34:00Z")).toBe("12:34");
  });
});

it("writes bytes by the power that fits", () => {
  expect(plain(fr.bytes(999))).toBe("999 o");
  expect(plain(fr.bytes(4_200_000))).toBe("4,2 Mo");
  expect(plain(en.bytes(52_428_800))).toBe("52.4 MB");
});
