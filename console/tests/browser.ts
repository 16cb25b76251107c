/** Windows of the tests' browser, and what every page is held to: no violation found by axe, nothing wider than the window. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { buffer } from "node:stream/consumers";

import type axe from "axe-core";
import { type Browser, type BrowserContext, chromium, type Download, type Frame, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject } from "vitest";

export const SIZES = { phone: { width: 390, height: 844 }, desk: { width: 1280, height: 800 } } as const;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser: Browser;

/** Connects a test file with the one browser. */
export function useBrowser(): void {
  beforeAll(async () => {
    browser = await chromium.connect(inject("browser"));
  });
  afterAll(() => browser.close());
}

export interface Visitor {
  page: Page;
  context: BrowserContext;
  /** Errors of the console and of the page so far; tests take out those that they cause. */
  problems: string[];
}

/** Opens a browser window of its own, with its own cookies, in English. Movements end at once: nobody waits for them. */
export async function visit(options: { size?: keyof typeof SIZES; dark?: boolean; language?: string } = {}): Promise<Visitor> {
  const context = await browser.newContext({
    baseURL: inject("url"),
    viewport: SIZES[options.size ?? "desk"],
    colorScheme: options.dark === true ? "dark" : "light",
    locale: options.language ?? "en",
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" || message.text().includes("Content Security Policy")) problems.push(message.text());
  });
  return { page, context, problems };
}

/** Holds the present page against WCAG 2.2 AA as far as axe can, and against the width of the window. */
export async function expectAccessible(page: Page): Promise<void> {
  const found = (await Promise.all(page.frames().map(violationsOf))).flat();
  expect(found, page.url()).toEqual([]);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  expect(overflow, `${page.url()} is wider than the window`).toBeLessThanOrEqual(0);
}

/** Each frame is looked at by itself: the sandboxed viewer answers no message of a script of the page. */
async function violationsOf(frame: Frame): Promise<string[]> {
  const isThere = await frame.evaluate(() => "axe" in window);
  if (!isThere) await frame.evaluate(AXE);
  const violations = await frame.evaluate(async () => {
    const { axe: loaded } = window as unknown as { axe: typeof axe };
    const result = await loaded.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"],
      resultTypes: ["violations"],
      iframes: false,
      ...(window.top === window ? {} : { rules: { region: { enabled: false }, "page-has-heading-one": { enabled: false }, "landmark-one-main": { enabled: false } } }),
    });
    return result.violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html }) => html.slice(0, 160)) }));
  });
  return violations.map(({ id, nodes }) => `${id}: ${nodes.join(" | ")}`);
}

/** The content of a file that the page saved, with its byte order mark. */
export const contentOf = async (download: Download) => buffer(await download.createReadStream());

export const uniqueEmail = (name: string) => `${name}-${crypto.randomUUID().slice(0, 8)}@example.com`;
