/** The texts in the reader's language. Only that language's texts are loaded. */
import { createStore, useStore } from "@/lib/store";
import { readStored, writeStored } from "@/lib/storage";

import type { Texts } from "./en";

export type { Texts };
export type Language = "fr" | "en";

const KEY = "lisa.language";
const current = createStore<{ language: Language; texts: Texts } | null>(null);

async function load(language: Language): Promise<void> {
  const texts = language === "fr" ? (await import("./fr")).fr : (await import("./en")).en;
  document.documentElement.lang = language;
  current.set({ language, texts });
}

/** Loads the language that was chosen, else the browser's. Called once, before the first render. */
export function startTexts(): Promise<void> {
  const chosen = chosenLanguage();
  return load(chosen ?? (navigator.language.toLowerCase().startsWith("fr") ? "fr" : "en"));
}

export function chooseLanguage(language: Language): Promise<void> {
  writeStored(KEY, language);
  return load(language);
}

function chosenLanguage(): Language | null {
  const stored = readStored(KEY);
  return stored === "fr" || stored === "en" ? stored : null;
}

function loaded(value: { language: Language; texts: Texts } | null): { language: Language; texts: Texts } {
  if (value === null) throw new Error("startTexts has not ended");
  return value;
}

export function useTexts(): Texts {
  return loaded(useStore(current)).texts;
}

export function useLanguage(): Language {
  return loaded(useStore(current)).language;
}

/** The texts outside of a component. */
export function texts(): Texts {
  return loaded(current.get()).texts;
}
