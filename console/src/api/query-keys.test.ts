import { expect, it } from "vitest";

const sources = import.meta.glob<string>("/src/**/*.{ts,tsx}", { query: "?raw", import: "default", eager: true });
const DEFINITION = /((?:queryOptions|infiniteQueryOptions)\(\{)\n +queryKey: (\[.*\]),\n([\s\S]*?)\n *\}\)/g;

it("has one shape of data for each key: pages share the cache", () => {
  const definitions = Object.values(sources).flatMap((source) => [...source.matchAll(DEFINITION)].map(([, kind = "", key = "", body = ""]) => ({ key, text: kind + body })));
  const keys = [...new Set(definitions.map(({ key }) => key))];
  const shapes = keys.map((key) => [key, new Set(definitions.filter((one) => one.key === key).map(({ text }) => text)).size] as const);
  expect(keys).toContain('["plans"]');
  expect(shapes.filter(([, count]) => count > 1)).toEqual([]);
});
