import { expect, it } from "vitest";

import * as english from "./en";
import * as french from "./fr";

/** All texts of a language, with those that are loaded with their pages. */
async function allOf({ base, pages }: typeof english | typeof french): Promise<object> {
  const loaded = await Promise.all(Object.entries(pages).map(async ([name, load]) => [name, await load()] as const));
  return { ...base, ...Object.fromEntries(loaded) };
}

const en = await allOf(english);
const fr = await allOf(french);

/** Every text by its path. The types compare most of them; texts by a code of the API are free in their keys. */
function entriesOf(texts: object, path = ""): [string, unknown][] {
  return Object.entries<unknown>({ ...texts }).flatMap(([key, value]): [string, unknown][] =>
    typeof value === "object" && value !== null ? entriesOf(value, `${path}/${key}`) : [[`${path}/${key}`, value]],
  );
}

const pathsOf = (texts: object) => entriesOf(texts).map(([path]) => path);

it("has the same texts in both languages, by a code of the API, too", () => {
  expect(pathsOf(fr).sort()).toEqual(pathsOf(en).sort());
});

it("has no empty text", () => {
  // A product of the import's template has no description, which shows that a cell may be empty.
  const isText = ([path, text]: [string, unknown]) => text === "" && !path.startsWith("/products/templateRows/");
  expect([en, fr].flatMap((texts) => entriesOf(texts)).filter(isText)).toEqual([]);
});

it("keeps French marks with the word before them", () => {
  const isTorn = ([, text]: [string, unknown]) => typeof text === "string" && / [;?!»]| :( |$)|« /.test(text);
  expect(entriesOf(fr).filter(isTorn)).toEqual([]);
});
