// @vitest-environment happy-dom
import { expect, it } from "vitest";

import { applyDraft, conflictsOf, draftOf, parseDraft, readDraft, subscribeToDrafts, writeDraft } from "./draft";

const saved = { name: "Lisa", words: ["human"], hours: null as unknown };

it("holds only what differs, with the value that was changed", () => {
  expect(draftOf(saved, saved)).toEqual({});
  expect(draftOf(saved, { ...saved, words: ["human", "person"] })).toEqual({
    words: { from: ["human"], to: ["human", "person"] },
  });
});

it("remembers the first value over a change by somebody else, and names the conflict", () => {
  const first = draftOf(saved, { ...saved, name: "Awa" });
  const theirs = { ...saved, name: "Zoé" };
  const second = draftOf(theirs, { ...theirs, name: "Awa K." }, first);
  expect(second).toEqual({ name: { from: "Lisa", to: "Awa K." } });
  expect(conflictsOf(theirs, second)).toEqual(["name"]);
  expect(conflictsOf(saved, second)).toEqual([]);
  expect(conflictsOf({ ...saved, name: "Awa K." }, second)).toEqual([]);
});

it("goes over the saved values, without fields that are gone", () => {
  expect(applyDraft(saved, { name: { from: "Lisa", to: "Awa" }, gone: { from: 1, to: 2 } })).toEqual({ ...saved, name: "Awa" });
});

it("is no draft when the storage holds something else", () => {
  for (const stored of [null, "", "{", "7", "null", "[]", '{"name":"Awa"}', '{"name":{"to":1}}']) expect(parseDraft(stored)).toEqual({});
});

it("is kept in the browser, and removed when nothing differs", () => {
  let calls = 0;
  const stop = subscribeToDrafts(() => (calls += 1));
  writeDraft("lisa.draft.test", { name: { from: "Lisa", to: "Awa" } });
  expect(parseDraft(window.localStorage.getItem("lisa.draft.test"))).toEqual(readDraft("lisa.draft.test"));
  expect(readDraft("lisa.draft.test")).toBe(readDraft("lisa.draft.test"));
  writeDraft("lisa.draft.test", {});
  expect(window.localStorage.getItem("lisa.draft.test")).toBeNull();
  expect(calls).toBe(2);
  stop();
});
