// Takes the pictures of docs/console/ from a stack with the demo's shop. See docs/console/README.md.
//
//   node scripts/screenshots.mjs <address of the stack> <its data folder> [<folder for the pictures>]
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { chromium } from "playwright-core";

import { ADMINISTRATOR, ensureDemo, OWNER } from "./demo-data.mjs";

const [address, data, folder = join(import.meta.dirname, "../../docs/console")] = process.argv.slice(2);
if (data === undefined) throw new Error("usage: screenshots.mjs <address> <data folder> [<folder>]");
mkdirSync(folder, { recursive: true });
await ensureDemo(address, data);

const DESK = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });

/** Opens a window in French, signed in unless `isPublic`. */
async function open({ viewport = DESK, colorScheme = "light", isPublic = false, account = OWNER } = {}) {
  const context = await browser.newContext({ baseURL: address, viewport, colorScheme, locale: "fr", reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.goto("/sign-in");
  if (isPublic) return page;
  await page.locator('input[type="email"]').fill(account.email);
  await page.locator('input[type="password"]').fill(account.password);
  await page.locator('button[type="submit"]').click();
  await page.waitForURL((url) => url.pathname !== "/sign-in");
  return page;
}

/** Shows a page as a person finds it: loaded, without a pointer and without the focus in a field. */
async function take(page, name, path, prepare = async () => {}) {
  if (path !== null) await page.goto(path);
  await page.getByRole("heading").first().waitFor();
  await page.waitForLoadState("networkidle", { timeout: 5_000 }).catch(() => undefined);
  await prepare(page);
  await page.locator('[data-state="loading"]').first().waitFor({ state: "detached" });
  await page.evaluate("document.activeElement?.blur?.()");
  await page.screenshot({ path: join(folder, `${name}.png`) });
  console.log(name);
}

const openConversation = (name) => async (page) => {
  await page.getByRole("link", { name }).first().click();
  await page.getByRole("log").getByRole("listitem").first().waitFor();
};
const askQuestion = async (page) => {
  await page.getByRole("textbox", { name: "Question" }).fill("Combien coûte la livraison à Abidjan ?");
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: /guide-livraison\.pdf/ }).first().waitFor();
};
const openDocument = async (page) => {
  await page.getByRole("link", { name: "guide-livraison.pdf" }).first().click();
  await page.locator('[data-page="1"]').waitFor();
};

const openEndpoint = async (page) => {
  await page.getByRole("link", { name: "Caisse de la boutique" }).click();
  await page.getByRole("list", { name: "Livraisons" }).getByRole("listitem").first().waitFor();
};
const requestExport = async (page) => {
  const link = page.getByRole("link", { name: "Télécharger l’archive" });
  const request = page.getByRole("button", { name: "Demander un export" });
  await link.or(request).first().waitFor();
  if (await request.isVisible()) await request.click();
  await link.waitFor();
};
const openCompany = async (page) => {
  await page.getByRole("link", { name: "Comptoir Baobab" }).click();
  await page.getByRole("heading", { level: 1, name: "Comptoir Baobab" }).waitFor();
};

const visitor = await open({ isPublic: true });
await take(visitor, "sign-in", "/sign-in");
await visitor.context().close();

const desk = await open();
await take(desk, "start", "/start");
await take(desk, "inbox", "/inbox", openConversation(/^Mariam/));
await take(desk, "documents", "/documents");
await take(desk, "document", "/documents", openDocument);
await take(desk, "playground", "/playground", askQuestion);
await take(desk, "unanswered", "/unanswered");
await take(desk, "orders", "/orders");
await take(desk, "products", "/products");
await take(desk, "dashboard", "/dashboard");
await take(desk, "activities", "/activities");
await take(desk, "settings-bot", "/settings/bot");
await take(desk, "settings-manychat", "/settings/manychat");
await take(desk, "settings-team", "/settings/team");
await take(desk, "settings-plan", "/settings/plan");
await take(desk, "settings-webhooks", "/settings/webhooks");
await take(desk, "webhook", null, openEndpoint);
await take(desk, "settings-privacy", "/settings/privacy", requestExport);
await desk.context().close();

const administrator = await open({ account: ADMINISTRATOR });
await take(administrator, "admin-companies", "/admin/companies");
await take(administrator, "admin-company", null, openCompany);
await administrator.context().close();

const phone = await open({ viewport: PHONE });
await take(phone, "phone-inbox", "/inbox");
await take(phone, "phone-conversation", null, openConversation(/^Fatou/));
await phone.context().close();

const dark = await open({ colorScheme: "dark" });
await take(dark, "dark-dashboard", "/dashboard");
await dark.context().close();
const darkPhone = await open({ viewport: PHONE, colorScheme: "dark" });
await take(darkPhone, "dark-phone-unanswered", "/unanswered");
await darkPhone.context().close();
await browser.close();
