/**
 * The texts in the reader's language. Only that language's are loaded: those of the frame before the first render, those of a
 * page with the page.
 */
import { use } from "react";

import { readStored, writeStored } from "@/lib/storage";
import { createStore, useStore } from "@/lib/store";

import type { BaseTexts, PageName, Texts } from "./en";

export type { BaseTexts, PageName, Texts };
export type Language = "fr" | "en";

const KEY = "lisa.language";
const current = createStore<Language | null>(null);
/** The language that was chosen last: of two choices that load, it stays. */
let wanted: Language | null = null;
/** The loaded texts of each language. The two objects are never replaced; pages add their texts to them. */
const loaded: Record<Language, Partial<Texts>> = { fr: {}, en: {} };
const loads = new Map<string, Promise<void>>();
/** The load of the first language. Texts of pages that are asked for meanwhile wait for it. */
let start: Promise<void> = Promise.resolve();

const partsOf = (language: Language) => (language === "fr" ? import("./fr") : import("./en"));

/** Loads the language that was chosen, else the browser's. Called once, before the first render. */
export function startTexts(): Promise<void> {
  start = load(chosenLanguage() ?? (navigator.language.toLowerCase().startsWith("fr") ? "fr" : "en"));
  return start;
}

export function chooseLanguage(language: Language): Promise<void> {
  writeStored(KEY, language);
  return load(language);
}

function chosenLanguage(): Language | null {
  const stored = readStored(KEY);
  return stored === "fr" || stored === "en" ? stored : null;
}

/** Changes the language once everything that was loaded in the present one is there in the new one, too. */
async function load(language: Language): Promise<void> {
  wanted = language;
  const { base, pages } = await partsOf(language);
  Object.assign(loaded[language], base);
  const before = current.get();
  if (before !== null) await loadPages(language, (Object.keys(pages) as PageName[]).filter((name) => loaded[before][name] !== undefined));
  if (wanted !== language) return;
  document.documentElement.lang = language;
  current.set(language);
}

/** Loads texts of pages in the present language. What is loaded already costs nothing. */
export async function loadTexts(...names: readonly PageName[]): Promise<void> {
  await start;
  return loadPages(started(current.get()), names);
}

async function loadPages(language: Language, names: readonly PageName[]): Promise<void> {
  try {
    await Promise.all(names.map((name) => loadPage(language, name)));
  } catch (error) {
    // The next call tries again.
    for (const name of names) if (loaded[language][name] === undefined) loads.delete(`${language}/${name}`);
    throw error;
  }
}

/** The same promise for each call, as React asks for one that it knows. */
function loadPage(language: Language, name: PageName): Promise<void> {
  const key = `${language}/${name}`;
  const known = loads.get(key);
  if (known !== undefined) return known;
  const fresh = partsOf(language).then(async ({ pages }) => {
    Object.assign(loaded[language], { [name]: await pages[name]() });
  });
  loads.set(key, fresh);
  return fresh;
}

function started(language: Language | null): Language {
  if (language === null) throw new Error("startTexts has not ended");
  return language;
}

/**
 * The texts of the frame, and of the named pages. They are there when the route loads them (`lazyPage`); else the component
 * waits for them.
 */
export function useTexts<N extends PageName = never>(...names: readonly N[]): BaseTexts & Pick<Texts, N> {
  const language = useLanguage();
  for (const name of names) if (loaded[language][name] === undefined) use(loadPage(language, name));
  return loaded[language] as Texts;
}

export function useLanguage(): Language {
  return started(useStore(current));
}

/** The frame's texts outside of a component. */
export function texts(): BaseTexts {
  return loaded[started(current.get())] as Texts;
}
