import { expect, it } from "vitest";

import { groupQuestions, wordingOf } from "./grouping";
import type { UnansweredQuestion } from "./queries";

const asked = (id: string, question: string, created_at: string, reason = "not_found"): UnansweredQuestion => ({
  id,
  message_id: id,
  conversation_id: "c",
  channel: "whatsapp",
  question,
  reason,
  created_at,
});

it("counts questions that differ in case, accents, punctuation and politeness", () => {
  const groups = groupQuestions(
    [
      asked("4", "Ouvert le dimanche ?", "2026-11-29T10:04:00Z"),
      asked("3", "Bonjour, livrez-vous à Bouaké ?", "2026-11-29T10:03:00Z"),
      asked("2", "livrez vous a bouake", "2026-11-29T10:02:00Z"),
      asked("1", "Livrez-vous à Bouaké", "2026-11-29T10:01:00Z", "quota"),
    ],
    "often",
  );
  expect(groups.map(({ newest, count, ids }) => [newest.id, count, ids])).toEqual([
    ["3", 2, ["3", "2"]],
    ["4", 1, ["4"]],
    ["1", 1, ["1"]],
  ]);
});

it("shows the newest first where that is chosen", () => {
  const questions = [asked("2", "a b", "2026-11-29T10:02:00Z"), asked("1", "c", "2026-11-29T10:03:00Z"), asked("0", "a, b", "2026-11-29T10:01:00Z")];
  expect(groupQuestions(questions, "newest").map(({ newest }) => newest.id)).toEqual(["1", "2"]);
  expect(groupQuestions(questions, "often").map(({ newest }) => newest.id)).toEqual(["2", "1"]);
});

it("keeps a question without words as it is", () => {
  expect(wordingOf("???")).toBe("???");
  expect(wordingOf("Bonjour !")).toBe("bonjour");
  expect(wordingOf("هل توصلون؟")).toBe("هل توصلون");
});
