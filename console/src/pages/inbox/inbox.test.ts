// @vitest-environment happy-dom
import { beforeEach, describe, expect, it, vi } from "vitest";

import { citationPath, readCitations } from "./citations";
import { joinExports } from "./contact-export";
import { draftOf, dropDraft, writeDraft } from "./drafts";
import { queryOfFilter } from "./filters";
import { holderOf } from "./holder";
import { commandOf } from "./keys";
import { labelOf } from "./message-label";
import { mergeMessages, withoutDeleted } from "./merge";
import type { Message } from "./queries";

vi.mock("@/api/client", () => ({}));

const { readSearch, without } = await import("./route");

const ID = "7a0c4a6e-0a5c-4e0b-9a57-1d2f3a4b5c6d";

describe("the address", () => {
  it("keeps what is valid, and names the rest undefined", () => {
    expect(readSearch({ filter: "human", q: "Awa", conversation: ID })).toEqual({ filter: "human", q: "Awa", conversation: ID });
    expect(readSearch({ q: 700 }).q).toBe("700");
    const nothing = readSearch({ filter: "mine", q: " ", conversation: "1 or 1" });
    expect(nothing).toStrictEqual({ filter: undefined, q: undefined, conversation: undefined });
  });

  it("loses one part only", () => {
    expect(without({ filter: "human", conversation: ID }, "conversation")).toEqual({ filter: "human" });
  });
});

describe("keys", () => {
  const press = (key: string, target: Element | null = null, more = {}) =>
    commandOf({ key, target, ctrlKey: false, metaKey: false, altKey: false, defaultPrevented: false, ...more });
  const within = (html: string, selector: string) => {
    document.body.innerHTML = html;
    return document.querySelector(selector);
  };

  it("are commands where nothing else takes them, in either case", () => {
    expect([press("r"), press("R"), press("ArrowDown"), press("/"), press("Enter")]).toEqual(["reply", "reply", "next", "search", "open"]);
    expect(press("x")).toBeNull();
    expect(press("r", null, { ctrlKey: true })).toBeNull();
  });

  it("belong to a text, a dialog, a menu, a link and the thread", () => {
    expect(press("r", within("<textarea></textarea>", "textarea"))).toBeNull();
    expect(press("t", within("<dialog><button></button></dialog>", "button"))).toBeNull();
    expect(press("g", within('<div role="menu"><i></i></div>', "i"))).toBeNull();
    expect(press("Enter", within('<a href="#"></a>', "a"))).toBeNull();
    expect(press("r", within('<a href="#"></a>', "a"))).toBe("reply");
    expect(press("ArrowDown", within('<div role="log"><p></p></div>', "p"))).toBeNull();
  });
});

it("a conversation is with the assistant, with nobody yet, or with the person who took it", () => {
  const awa = { id: ID, name: "Awa Koné" };
  expect(holderOf({ handler: "bot", handover_reason: null, handled_by: null })).toEqual({ kind: "bot" });
  expect(holderOf({ handler: "human", handover_reason: "keyword", handled_by: null })).toEqual({ kind: "nobody" });
  expect(holderOf({ handler: "human", handover_reason: "person", handled_by: awa })).toEqual({ kind: "person", person: awa });
  // Taken over before the API told by whom.
  expect(holderOf({ handler: "human", handover_reason: "person", handled_by: null })).toEqual({ kind: "person", person: null });
});

it("a message of the assistant is labelled by what it is, and an answer from documents by its sources only", () => {
  const bot = { author: "bot", answered: true, model: "extractive-1" };
  expect(labelOf(bot)).toBeNull();
  expect(labelOf({ ...bot, model: "llama-3.3-70b" })).toBeNull();
  expect(labelOf({ ...bot, answered: false })).toBe("notFound");
  expect(labelOf({ ...bot, model: "approved-answer" })).toBe("approved");
  expect(labelOf({ author: "bot", answered: null, model: "courtesy" })).toBe("courtesy");
  expect(labelOf({ author: "bot", answered: null, model: null })).toBe("notice");
  // The notice that no answers are left.
  expect(labelOf({ author: "system" })).toBe("notice");
  expect([labelOf({ author: "contact" }), labelOf({ author: "agent" })]).toEqual([null, null]);
});

it("the filters are the API's", () => {
  expect(queryOfFilter("waiting", "Awa")).toEqual({ waiting: true, search: "Awa" });
  expect([queryOfFilter("human", undefined), queryOfFilter("unanswered", undefined), queryOfFilter(undefined, undefined)]).toEqual([
    { status: "human" },
    { unanswered: true },
    {},
  ]);
});

describe("drafts", () => {
  beforeEach(() => localStorage.clear());

  it("belong to a user and a conversation, and outlive the page", async () => {
    writeDraft("awa", "c1", "Bonjour\nà vous");
    expect(draftOf("binta", "c1").get().text).toBe("");
    const { key } = draftOf("awa", "c1").get();
    vi.resetModules();
    const again = await import("./drafts");
    expect(again.draftOf("awa", "c1").get()).toEqual({ text: "Bonjour\nà vous", key });
  });

  it("keep their key until the text changes, and stay when they changed while being sent", () => {
    writeDraft("awa", "c2", "one");
    const sent = draftOf("awa", "c2").get();
    writeDraft("awa", "c2", "one");
    expect(draftOf("awa", "c2").get().key).toBe(sent.key);
    writeDraft("awa", "c2", "one two");
    dropDraft("awa", "c2", sent);
    expect(draftOf("awa", "c2").get().text).toBe("one two");
    dropDraft("awa", "c2", draftOf("awa", "c2").get());
    expect(draftOf("awa", "c2").get().text).toBe("");
    expect(Object.keys(localStorage)).toEqual([]);
  });
});

describe("a refresh", () => {
  const message = (n: number, content = "") => ({ id: `m${n}`, created_at: `2026-11-29T10:0${n}:00Z`, content }) as Message;
  const ids = (messages: readonly Message[]) => messages.map(({ id }) => id);
  const before = [message(3), message(2), message(1)];
  const part = { isWhole: false, deleted: new Set<string>() };

  it("keeps older messages that were loaded, and nothing beyond a gap", () => {
    const merged = mergeMessages(before, [message(4), message(3, "sent"), message(2)], part);
    expect(merged.map(({ id, content }) => id + content)).toEqual(["m4", "m3sent", "m2", "m1"]);
    expect(ids(mergeMessages(before, [message(9), message(8)], part))).toEqual(["m9", "m8"]);
    expect(mergeMessages([], before, part)).toEqual(before);
    expect(ids(mergeMessages(before, [message(3), message(1)], part))).toEqual(["m3", "m1"]);
  });

  it("drops messages that were deleted, wherever they are", () => {
    const deleted = new Set(["m1", "m4"]);
    expect(ids(mergeMessages(before, [message(4), message(3), message(2)], { isWhole: false, deleted }))).toEqual(["m3", "m2"]);
    expect(ids(mergeMessages(before, [message(3), message(2)], { ...part, isWhole: true }))).toEqual(["m3", "m2"]);
    expect(mergeMessages(before, [], { ...part, isWhole: true })).toEqual([]);
    expect(ids(withoutDeleted(before, new Set(["m2"])))).toEqual(["m3", "m1"]);
    expect(withoutDeleted(before, new Set(["m7"]))).toBe(before);
  });
});

it("a contact's export joins each list of all answers", () => {
  const empty = { conversation: { id: "c" }, messages: [], orders: [], feedback: [], closed_questions: [], outbox: [], activities: [], model_calls: [] };
  const parts = [
    { ...empty, messages: [{ id: "m1" }, { id: "m2" }], next: "one" },
    { ...empty, messages: [{ id: "m3" }], orders: [{ id: "o" }], outbox: [{ part: 0 }], next: "two" },
    { ...empty, outbox: [{ part: 1 }], next: null },
  ];
  const whole = { ...empty, messages: [{ id: "m1" }, { id: "m2" }, { id: "m3" }], orders: [{ id: "o" }], outbox: [{ part: 0 }, { part: 1 }] };
  expect(joinExports(parts as unknown as Parameters<typeof joinExports>[0])).toEqual(whole);
  expect(joinExports([])).toBeNull();
});

it("citations lead to the document at its page", () => {
  const [first, second] = readCitations([
    { document_id: ID, filename: "guide.pdf", page: 3, location: "p. 3", snippet: "1 500 FCFA" },
    { filename: "old.pdf" },
    { page: 1 },
    null,
  ]);
  expect(first && citationPath(first)).toBe(`/documents/${ID}?page=3`);
  expect(second && citationPath(second)).toBeNull();
  expect(readCitations(null)).toEqual([]);
});
