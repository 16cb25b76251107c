import { expect, it } from "vitest";

import { keywordsOf, patchOf } from "./bot-values";
import { differenceOf } from "./difference";
import { isRestorable, textOfValue } from "./history-values";
import { copyMonday, endsNextDay, faultyDays, hoursOf, nextSpan, serverHoursOf } from "./hours-values";
import { isPaymentLate, MAX_POLLS, pollInterval } from "./plan-polling";
import { formFieldOf } from "./save";
import { sentencesPatch } from "./sentences-values";

it("reads keywords one a line, without empty lines and repetitions", () => {
  expect(keywordsOf(" human \n\nagent\nhuman\n")).toEqual(["human", "agent"]);
  expect(patchOf({ handover_keywords: "a\nb" })).toEqual({ handover_keywords: ["a", "b"] });
  expect(patchOf({ ai_name: "Ayo", unsupported_messages: "hand_over" })).toEqual({ ai_name: "Ayo", unsupported_messages: "hand_over" });
});

it("makes an emptied sentence the product's again, and leaves others alone", () => {
  expect(sentencesPatch({ greeting_fr: "  " })).toEqual({ greeting: { fr: null } });
  expect(sentencesPatch({ refusal_en: " No. ", refusal_fr: "Non." })).toEqual({ refusal: { fr: "Non.", en: "No." } });
  expect(sentencesPatch({})).toEqual({});
});

it("writes opening times as the server reads them, and back", () => {
  const server = { mon: [["08:00", "12:00"], ["14:00", "24:00"]], sat: [["20:00", "02:00"]] };
  const hours = hoursOf(server);
  expect(hours.mon[1]).toEqual({ from: "14:00", to: "00:00" });
  expect(hours.tue).toEqual([]);
  expect(serverHoursOf(hours)).toEqual(server);
  expect(serverHoursOf(hoursOf(null))).toEqual({});
});

it("knows a span over midnight, and one that is not usable", () => {
  expect(endsNextDay({ from: "20:00", to: "02:00" })).toBe(true);
  expect(endsNextDay({ from: "20:00", to: "00:00" })).toBe(false);
  expect(endsNextDay({ from: "08:00", to: "18:00" })).toBe(false);
  expect(faultyDays({ ...hoursOf(null), tue: [{ from: "08:00", to: "" }], wed: [{ from: "08:00", to: "08:00" }] })).toEqual(["tue", "wed"]);
  expect(faultyDays({ ...hoursOf(null), sun: [{ from: "00:00", to: "00:00" }] })).toEqual([]);
});

it("copies Monday to the days that the button names, and to no others", () => {
  const hours = hoursOf({ mon: [["08:00", "18:00"]], wed: [["09:00", "12:00"]], sun: [["10:00", "12:00"]] });
  const span = [["08:00", "18:00"]];
  const weekdays = { mon: span, tue: span, wed: span, thu: span, fri: span };
  expect(serverHoursOf(copyMonday(hours, "weekdays"))).toEqual({ ...weekdays, sun: [["10:00", "12:00"]] });
  expect(serverHoursOf(copyMonday(hours, "withSaturday"))).toEqual({ ...weekdays, sat: span, sun: [["10:00", "12:00"]] });
  expect(serverHoursOf(copyMonday(hours, "all"))).toEqual({ ...weekdays, sat: span, sun: span });
  expect(copyMonday(hours, "all").tue[0]).not.toBe(hours.mon[0]);
});

it("offers a further span that begins after the last one", () => {
  expect(nextSpan([])).toEqual({ from: "08:00", to: "18:00" });
  expect(nextSpan([{ from: "08:00", to: "12:00" }])).toEqual({ from: "12:00", to: "18:00" });
  expect(nextSpan([{ from: "08:00", to: "18:00" }]).from).toBe("20:00");
});

it("writes values of the configuration for people", () => {
  expect(textOfValue(null)).toBeNull();
  expect(textOfValue(["a", "b"])).toBe("a\nb");
  expect(textOfValue({ mon: [["08:00", "12:00"], ["14:00", "18:00"]] })).toBe("mon: 08:00–12:00, 14:00–18:00");
  expect(textOfValue({ greeting: { fr: "Salut", en: null } })).toBe("greeting.fr: Salut");
  expect(textOfValue(240)).toBe("240");
});

it("offers to undo only what a restoration undoes", () => {
  const change = (field: string) => ({ field, before: {}, after: {} });
  expect(isRestorable({ changes: [change("customer_texts"), change("company_name")] })).toBe(false);
  expect(isRestorable({ changes: [change("customer_texts"), change("ai_name")] })).toBe(true);
});

it("tells what differs by words", () => {
  expect(differenceOf("Be kind.", "Be very kind.")).toEqual([
    { kind: "same", text: "Be " },
    { kind: "added", text: "very " },
    { kind: "same", text: "kind." },
  ]);
});

it("finds the form's field of a refused value", () => {
  expect(formFieldOf("greeting.fr")).toBe("greeting_fr");
  expect(formFieldOf("handover_keywords[1]")).toBe("handover_keywords");
});

it("polls for a payment until it is reported, and a bounded number of times, also when calls fail", () => {
  const state = (dataUpdateCount: number, errorUpdateCount: number, is_pro = false) => ({ data: { is_pro }, dataUpdateCount, errorUpdateCount });
  expect(pollInterval(state(1, 0))).toBe(2_000);
  expect(pollInterval(state(1, 0, true))).toBe(false);
  expect([pollInterval(state(MAX_POLLS - 1, 0)), pollInterval(state(MAX_POLLS, 0))]).toEqual([2_000, false]);
  expect([pollInterval(state(1, MAX_POLLS - 2)), pollInterval(state(1, MAX_POLLS - 1))]).toEqual([2_000, false]);
  expect(pollInterval({ data: undefined, dataUpdateCount: 0, errorUpdateCount: MAX_POLLS })).toBe(false);
  expect([state(1, 0), state(1, MAX_POLLS - 1), state(MAX_POLLS, 0, true)].map(isPaymentLate)).toEqual([false, true, false]);
});
