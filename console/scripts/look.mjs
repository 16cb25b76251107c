// Takes screenshots of pages for a person to look at: light and dark, 390 and 1280 px wide, and reports violations of the
// content security policy and errors of the browser's console.
//
//   node scripts/look.mjs <address> <folder> <e-mail> <password> <path>[=name] …
//
// A path that begins with "-" is opened without a session.
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const [address, folder, email, password, ...paths] = process.argv.slice(2);
if (paths.length === 0) throw new Error("usage: look.mjs <address> <folder> <e-mail> <password> <path>[=name] …");
mkdirSync(folder, { recursive: true });

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
const language = process.env.LOOK_LANGUAGE ?? "fr";

async function signIn(page) {
  await page.goto(`${address}/sign-in`);
  await page.locator('input[type="email"]').fill(email);
  await page.locator('input[type="password"]').fill(password);
  await page.locator('button[type="submit"]').click();
  await page.waitForURL((url) => !url.pathname.startsWith("/sign-in"));
}

for (const [theme, width, height] of [["light", 1280, 800], ["dark", 1280, 800], ["light", 390, 844], ["dark", 390, 844]]) {
  const context = await browser.newContext({ colorScheme: theme, viewport: { width, height }, locale: language });
  const page = await context.newPage();
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) console.log(`${theme} ${width}: ${message.text()}`);
  });
  page.on("pageerror", (error) => console.log(`${theme} ${width}: ${error}`));
  let isSignedIn = false;
  for (const argument of paths) {
    const [path, name = argument.replace(/^-?\//, "").replace(/[^a-z0-9]+/gi, "-")] = argument.replace(/^-/, "").split("=");
    if (!argument.startsWith("-") && !isSignedIn) {
      await signIn(page);
      isSignedIn = true;
    }
    await page.goto(address + path);
    await page.waitForLoadState("networkidle", { timeout: 4000 }).catch(() => undefined);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
    if (wide) console.log(`${theme} ${width} ${path}: wider than the window`);
    await page.screenshot({ path: `${folder}/${name}-${theme}-${width}.png` });
  }
  await context.close();
}
await browser.close();
