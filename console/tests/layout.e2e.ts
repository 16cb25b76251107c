/** The frame of the pages: navigation on a phone, keyboard, limits and a lost connection. */
import { expect, it } from "vitest";

import { expectAccessible, useBrowser, visit } from "./browser";
import { createCompany, createSupportUser, repositoryFile, signIn } from "./company";

useBrowser();

it("a phone opens the navigation as a drawer, and closes it by Escape and by a choice", async () => {
  const company = await createCompany("Épicerie <b>Zoé</b> & fils");
  const { page, context, problems } = await visit({ size: "phone", dark: true });
  await signIn(page, company);
  await page.getByRole("banner").getByText("Épicerie <b>Zoé</b> & fils").waitFor();
  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByRole("dialog", { name: "Menu" }).waitFor();
  await expectAccessible(page);
  await page.keyboard.press("Escape");
  await expect.poll(() => page.getByRole("dialog").count()).toBe(0);
  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByRole("link", { name: "Documents", exact: true }).click();
  await expect.poll(() => page.getByRole("dialog").count()).toBe(0);
  expect(problems).toEqual([]);
  await context.close();
});

it("the first tab stop leads past the navigation", async () => {
  const company = await createCompany();
  const { page, context } = await visit();
  await signIn(page, company, "/documents");
  await page.getByRole("heading", { name: "Documents" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Documents" }).waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  expect(await page.evaluate(() => document.activeElement?.id)).toBe("main");
  await context.close();
});

it("a lost connection is said, and goes away by itself", async () => {
  const company = await createCompany();
  const { page, context } = await visit();
  await signIn(page, company, "/documents");
  await page.getByRole("heading", { name: "Documents" }).waitFor();
  await context.setOffline(true);
  await page.getByText("No connection.", { exact: false }).waitFor();
  await expectAccessible(page);
  await context.setOffline(false);
  await page.getByText("No connection.", { exact: false }).waitFor({ state: "detached" });
  await context.close();
});

it("what another browser changes is seen within three seconds", async () => {
  const company = await createCompany();
  const support = await createSupportUser(company);
  const { page, context, problems } = await visit();
  await signIn(page, support, "/documents");
  await page.getByText("No documents yet").waitFor();
  await company.upload("guide-livraison.pdf", repositoryFile("docs/samples/guide-livraison.pdf"));
  await page.getByText("guide-livraison.pdf").waitFor({ timeout: 3_000 });
  expect(problems).toEqual([]);
  await context.close();
});
