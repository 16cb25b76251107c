import type { Customer, CustomerPatch } from "./queries";

export const SENTENCES = ["greeting", "refusal", "handover"] as const;
type Language = "fr" | "en";

/** The sentences by name and language; an empty one stands for the product's. */
export type SentencesValues = Record<`${(typeof SENTENCES)[number]}_${Language}`, string>;

export function valuesOfSentences({ greeting, refusal, handover }: Pick<Customer, (typeof SENTENCES)[number]>): SentencesValues {
  return {
    greeting_fr: greeting.fr,
    greeting_en: greeting.en,
    refusal_fr: refusal.fr,
    refusal_en: refusal.en,
    handover_fr: handover.fr,
    handover_en: handover.en,
  };
}

/** Returns the change of the sentences; an emptied one becomes the product's again. */
export function sentencesPatch(changes: Partial<SentencesValues>): CustomerPatch {
  const patch: CustomerPatch = {};
  for (const name of SENTENCES) {
    const { [`${name}_fr` as const]: fr, [`${name}_en` as const]: en } = changes;
    if (fr === undefined && en === undefined) continue;
    patch[name] = { ...(fr !== undefined && { fr: ownOrNull(fr) }), ...(en !== undefined && { en: ownOrNull(en) }) };
  }
  return patch;
}

const ownOrNull = (text: string) => (text.trim() === "" ? null : text.trim());
