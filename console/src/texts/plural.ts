const RULES = { fr: new Intl.PluralRules("fr"), en: new Intl.PluralRules("en") };
const NUMBERS = { fr: new Intl.NumberFormat("fr-FR"), en: new Intl.NumberFormat("en-GB") };

/** Writes a number with its noun: French counts 0 and 1 as one, English only 1. */
export function plural(language: "fr" | "en", n: number, one: string, other: string): string {
  return `${NUMBERS[language].format(n)} ${RULES[language].select(n) === "one" ? one : other}`;
}
