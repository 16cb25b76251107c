/** A browser for the tests, and what every page is held to: no violation found by axe, nothing refused by the security policy. */
import { AxeBuilder } from "@axe-core/playwright";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject } from "vitest";

export const SIZES = { phone: { width: 390, height: 844 }, desk: { width: 1280, height: 800 } } as const;

let browser: Browser;

/** Registers the browser of a test file. */
export function useBrowser(): void {
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium" });
  });
  afterAll(() => browser.close());
}

export interface Visitor {
  page: Page;
  context: BrowserContext;
  /** Errors of the console and of the page so far; expected ones are taken out with `forgive`. */
  problems: string[];
}

/** Opens a browser window of its own, with its own cookies, in English. */
export async function visit(options: { size?: keyof typeof SIZES; dark?: boolean; language?: string } = {}): Promise<Visitor> {
  const context = await browser.newContext({
    baseURL: inject("url"),
    viewport: SIZES[options.size ?? "desk"],
    colorScheme: options.dark === true ? "dark" : "light",
    locale: options.language ?? "en",
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
  const { violations } = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]).analyze();
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
  expect(found, page.url()).toEqual([]);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  expect(overflow, `${page.url()} is wider than the window`).toBeLessThanOrEqual(0);
}

export const uniqueEmail = (name: string) => `${name}-${crypto.randomUUID().slice(0, 8)}@example.com`;
