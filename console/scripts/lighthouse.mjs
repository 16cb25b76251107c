// Measures pages with Lighthouse, with its default throttling of a phone, as the demo's owner. Lighthouse is fetched by npx.
//
//   node scripts/lighthouse.mjs <address of the stack> <its data folder> [<path> …]
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { chromium } from "playwright-core";

import { ensureDemo, OWNER } from "./demo-data.mjs";

const LIGHTHOUSE = process.env.LIGHTHOUSE ?? "npx --yes lighthouse@12.8.2";
const PORT = 9333;
const METRICS = ["first-contentful-paint", "largest-contentful-paint", "total-blocking-time", "cumulative-layout-shift", "speed-index"];

const [address, data, ...paths] = process.argv.slice(2);
if (data === undefined) throw new Error("usage: lighthouse.mjs <address> <data folder> [<path> …]");
await ensureDemo(address, data);
const profile = mkdtempSync(join(tmpdir(), "lisa-lighthouse-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [`--remote-debugging-port=${PORT}`],
});
try {
  for (const path of paths.length > 0 ? paths : ["/sign-in", "/inbox"]) {
    if (path !== "/sign-in") await signIn();
    console.log(path, await measure(path));
  }
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}

async function signIn() {
  const page = await context.newPage();
  await page.goto(`${address}/sign-in`);
  const email = page.locator('input[type="email"]');
  await email.or(page.getByRole("navigation").first()).first().waitFor();
  if (await email.isVisible()) {
    await email.fill(OWNER.email);
    await page.locator('input[type="password"]').fill(OWNER.password);
    await page.locator('button[type="submit"]').click();
    await page.waitForURL((url) => url.pathname !== "/sign-in");
  }
  await page.close();
}

async function measure(path) {
  const [program, ...first] = LIGHTHOUSE.split(" ");
  // The session is in the profile's storage, so it is kept.
  const args = [...first, `${address}${path}`, `--port=${PORT}`, "--disable-storage-reset", "--output=json", "--quiet", "--only-categories=performance,accessibility,best-practices"];
  const { stdout } = await promisify(execFile)(program, args, { maxBuffer: 100_000_000 });
  const report = JSON.parse(stdout);
  const scores = Object.fromEntries(Object.values(report.categories).map(({ id, score }) => [id, Math.round(score * 100)]));
  const metrics = Object.fromEntries(METRICS.map((id) => [id, report.audits[id].displayValue]));
  const failed = Object.values(report.audits)
    .filter(({ score, scoreDisplayMode }) => score !== null && score < 0.9 && scoreDisplayMode !== "informative" && scoreDisplayMode !== "notApplicable")
    .map(({ id, displayValue = "" }) => `${id} ${displayValue}`.trim());
  return { page: report.finalDisplayedUrl, ...scores, ...metrics, failed };
}
