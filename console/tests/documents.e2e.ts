/** Documents by the interface: upload, refusals, large files, versions, deletion, and the PDF in its sandboxed frame. */
import type { Page } from "playwright-core";
import { expect, it } from "vitest";

import { expectAccessible, useBrowser, visit } from "./browser";
import { createCompany, createSupportUser, repositoryFile, signIn } from "./company";

useBrowser();

const GUIDE = "docs/samples/guide-livraison.pdf";
const HOSTILE = `<img src=x onerror=alert(1)> ${"très".repeat(40)}.md`;

const choose = (page: Page, files: { name: string; mimeType: string; buffer: Buffer }[]) =>
  page.locator('input[type="file"][multiple]').setInputFiles(files);
const text = (name: string, content: string) => ({ name, mimeType: "text/plain", buffer: Buffer.from(content) });

/** A PDF of one page with as many bytes as wanted, behind a comment. */
function largePdf(bytes: number): Buffer {
  const head = Buffer.from("%PDF-1.4\n");
  const sample = repositoryFile(GUIDE);
  const padding = Buffer.alloc(Math.max(bytes - head.length - sample.length, 0), "%\n");
  return Buffer.concat([sample, padding]);
}

it("several files are uploaded at once, and each refusal says what to do", async () => {
  const company = await createCompany();
  const { page, context, problems } = await visit();
  await signIn(page, company, "/documents");
  await page.getByText("No documents yet").waitFor();
  await expectAccessible(page);
  await choose(page, [
    { name: "guide-livraison.pdf", mimeType: "application/pdf", buffer: repositoryFile(GUIDE) },
    text(HOSTILE, "# Retours\n\nLes retours sont gratuits pendant 14 jours."),
    text("tarifs.doc", "old"),
    text("renamed.pdf", "no PDF at all"),
    text("empty.txt", ""),
  ]);
  const uploads = page.getByRole("region", { name: "Uploads" });
  await uploads.getByText("Save the file as Word (.docx)").waitFor();
  await uploads.getByText("the content is something else").waitFor();
  await uploads.getByText("The file is empty.").waitFor();
  const list = page.getByRole("region", { name: "Documents" });
  await expect.poll(() => list.getByText("Ready", { exact: true }).count(), { timeout: 30_000 }).toBe(2);
  await list.getByRole("link", { name: HOSTILE }).waitFor();
  await expect.poll(() => uploads.getByText("Read: your assistant answers from it.").count()).toBe(2);
  await expectAccessible(page);
  await uploads.getByRole("button", { name: "Clear the list" }).click();
  await expect.poll(() => uploads.getByRole("listitem").count()).toBe(0);
  expect(problems).toEqual([]);
  await context.close();
});

it("a large file goes to the storage, can be cancelled, and replaces an older version", async () => {
  const company = await createCompany();
  const old = await company.upload("tarifs.pdf", repositoryFile(GUIDE));
  const { page, context, problems } = await visit();
  await signIn(page, company, "/documents");
  await page.getByRole("link", { name: "tarifs.pdf" }).waitFor();

  let release = () => {};
  const isHeld = new Promise<void>((resolve) => {
    release = resolve;
  });
  await page.route(
    (url) => url.search.includes("X-Amz-Signature"),
    async (route) => {
      await isHeld;
      await route.abort();
    },
  );
  const large = { name: "large.pdf", mimeType: "application/pdf", buffer: largePdf(5_000_000) };
  await choose(page, [large]);
  await page.getByRole("button", { name: "Cancel: large.pdf" }).click();
  await page.getByText("Cancelled. Nothing of it was kept.").waitFor();
  release();
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await expect.poll(async () => (await company.api<unknown[]>("GET", "documents")).length).toBe(1);

  const answers: number[] = [];
  await page.route(
    (url) => url.search.includes("X-Amz-Signature"),
    (route) => (answers.push(route.request().postDataBuffer()?.length ?? 0) === 1 ? route.abort("connectionreset") : route.continue()),
  );
  await choose(page, [{ ...large, name: "tarifs.pdf" }]);
  await page.getByText("has the same name").waitFor({ timeout: 30_000 });
  expect(answers.length).toBe(2);
  await expectAccessible(page);
  await page.getByRole("button", { name: "Replace the old one" }).click();
  await expect
    .poll(async () => (await company.api<{ id: string; status: string }[]>("GET", "documents")).map(({ id, status }) => [id === old, status]), {
      timeout: 30_000,
    })
    .toEqual([[false, "processed"]]);
  expect(problems.filter((problem) => !/ERR_(CONNECTION_RESET|FAILED)/.test(problem))).toEqual([]);
  await context.close();
});

it("a PDF is drawn in a frame without network, page by page, beside the text that was read", async () => {
  const company = await createCompany();
  const id = await company.upload("guide-livraison.pdf", repositoryFile(GUIDE));
  const { page, context, problems } = await visit();
  await signIn(page, company, `/documents/${id}`);
  await page.locator('[data-page="1"]').waitFor({ timeout: 30_000 });
  const frame = page.frames().find((each) => each.url().endsWith("/viewer.html"));
  expect(frame).toBeDefined();
  expect(await frame?.evaluate(() => window.origin)).toBe("null");
  expect(await frame?.evaluate(() => fetch("/icon.svg").then(() => "loaded", () => "refused"))).toBe("refused");
  expect(await frame?.evaluate(() => document.querySelector("canvas")?.width ?? 0)).toBeGreaterThan(300);
  // Not a white sheet: the text of the page is drawn.
  const isDrawn = () => {
    const canvas = document.querySelector("canvas");
    const data = canvas?.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
    return data.some((value, at) => at % 4 === 0 && value < 100);
  };
  expect(await frame?.evaluate(isDrawn)).toBe(true);
  await page.getByRole("region", { name: "What was read here" }).getByRole("blockquote").first().waitFor();
  await expectAccessible(page);

  await page.keyboard.press("ArrowRight");
  await page.waitForURL("**/documents/*?page=2");
  await page.locator('[data-page="2"]').waitFor();
  await page.reload();
  await page.locator('[data-page="2"]').waitFor();
  expect(await page.getByLabel("Page", { exact: true }).inputValue()).toBe("2");
  expect(problems.filter((problem) => !problem.includes("icon.svg") && !problem.includes("connect-src"))).toEqual([]);
  await context.close();
});

it("a document is deleted by its name; a support user may look, and change nothing", async () => {
  const company = await createCompany();
  const support = await createSupportUser(company);
  const id = await company.upload("retours.txt", "Les retours sont gratuits pendant 14 jours.");
  const { page, context, problems } = await visit({ size: "phone", dark: true });
  await signIn(page, support, "/documents");
  await page.getByText("only owners upload and delete documents", { exact: false }).waitFor();
  await page.getByRole("link", { name: "retours.txt" }).click();
  await page.getByText("Les retours sont gratuits").waitFor();
  expect(await page.getByRole("button", { name: "Delete" }).count()).toBe(0);
  await expectAccessible(page);
  await context.close();

  const owner = await visit({ size: "phone" });
  await signIn(owner.page, company, "/documents");
  await owner.page.getByRole("button", { name: "Actions for retours.txt" }).click();
  await owner.page.getByRole("menuitem", { name: "Delete" }).click();
  const dialog = owner.page.getByRole("dialog");
  await dialog.getByText("retours.txt").waitFor();
  await expectAccessible(owner.page);
  await dialog.getByRole("button", { name: "Delete for good" }).click();
  await owner.page.getByText("No documents yet").waitFor();
  await owner.page.goto(`/documents/${id}`);
  await owner.page.getByText("There is nothing here").waitFor();
  await expectAccessible(owner.page);
  expect([...problems, ...owner.problems].filter((problem) => !problem.includes("404"))).toEqual([]);
  await owner.context.close();
});
