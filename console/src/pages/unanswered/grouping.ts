/** Questions of one wording as one row, with how often they were asked. */
import type { UnansweredQuestion } from "./queries";

export interface QuestionGroup {
  /** The newest of them, by which the group is approved. */
  newest: UnansweredQuestion;
  count: number;
  ids: readonly string[];
}

/** Words of politeness, which the server leaves out of a wording, too. It decides in the end which questions an answer closes. */
const POLITE = new Set(["bonjour", "bonsoir", "salut", "hello", "hi", "hey", "merci", "thanks", "please", "svp", "stp", "madame", "monsieur"]);

/** The words of a question without accents, case, punctuation and politeness. */
export function wordingOf(question: string): string {
  const plain = question.toLowerCase().normalize("NFKD").replace(/\p{Mn}/gu, "");
  const words = plain.split(/[^\p{L}\p{N}]+/u).filter((word) => word !== "");
  const kept = words.filter((word) => !POLITE.has(word));
  return (kept.length > 0 ? kept : words).join(" ") || question;
}

/** Joins questions of one wording and one reason. `sort` puts the most asked first, or keeps the newest first. */
export function groupQuestions(questions: readonly UnansweredQuestion[], sort: "often" | "newest"): QuestionGroup[] {
  const groups = new Map<string, QuestionGroup>();
  for (const question of questions) {
    const key = `${question.reason} ${wordingOf(question.question)}`;
    const group = groups.get(key);
    if (group === undefined) {
      groups.set(key, { newest: question, count: 1, ids: [question.id] });
      continue;
    }
    const newest = question.created_at > group.newest.created_at ? question : group.newest;
    groups.set(key, { newest, count: group.count + 1, ids: [...group.ids, question.id] });
  }
  const list = [...groups.values()].sort((a, b) => (a.newest.created_at < b.newest.created_at ? 1 : -1));
  // The sort is stable: among equally frequent ones, the newest stays first.
  return sort === "often" ? list.sort((a, b) => b.count - a.count) : list;
}
