import { expect, it } from "vitest";

const sources = import.meta.glob<string>("/src/**/*.{ts,tsx}", { query: "?raw", import: "default", eager: true });

/** The source that an import names, or undefined for a library. */
function fileOf(from: string, named: string): string | undefined {
  const path = named.startsWith("@/") ? `/src/${named.slice(2)}` : new URL(named, `file://${from}`).pathname;
  return [`${path}.tsx`, `${path}.ts`].find((file) => file in sources);
}

const quoted = (text: string) => [...text.matchAll(/"(\w+)"/g)].map(([, name = ""]) => name);

/** The names of the texts that a component and all that it imports show. */
function shownBy(file: string, seen = new Set<string>()): string[] {
  if (seen.has(file) || file.endsWith("/route.ts") || file.startsWith("/src/texts/")) return [];
  seen.add(file);
  const source = sources[file] ?? "";
  const own = [...source.matchAll(/useTexts\(([^)]*)\)/g)].flatMap(([, names = ""]) => quoted(names));
  const imports = [...source.matchAll(/(?:from |lazy\w*\(\(\) => import\()"([@.][^"]+)"/g)];
  const files = imports.map(([, named = ""]) => fileOf(file, named)).filter((found) => found !== undefined);
  return [...own, ...files.flatMap((found) => shownBy(found, seen))];
}

const pages = Object.entries(sources).flatMap(([file, source]) =>
  file.endsWith("/route.ts")
    ? [...source.matchAll(/lazyPage\(\(\) => import\("([^"]+)"\), "(\w+)"((?:, "\w+")*)\)/g)].map(([, named = "", name = "", texts = ""]) => ({
        name,
        page: fileOf(file, named) ?? "",
        loaded: quoted(texts),
      }))
    : [],
);

it("finds the pages", () => {
  expect(pages.length).toBeGreaterThan(30);
  expect(shownBy("/src/pages/inbox/page.tsx")).toContain("inbox");
});

it.each(pages)("loads the texts of $name with it, and no others", ({ page, loaded }) => {
  expect([...loaded].sort()).toEqual([...new Set(shownBy(page))].sort());
});
