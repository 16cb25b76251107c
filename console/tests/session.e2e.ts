/** Accounts by the interface alone: sign up, come back, sign out, sign in. */
import { expect, it } from "vitest";

import { expectAccessible, uniqueEmail, useBrowser, visit } from "./browser";

useBrowser();

const PASSWORD = "correct horse battery";

const LOOKS = [
  ["at a desk", { size: "desk" }],
  ["on a phone, in the dark", { size: "phone", dark: true }],
] as const;

it.each(LOOKS)("the pages without a session are accessible %s", async (_, look) => {
  const { page, context, problems } = await visit(look);
  for (const path of ["/sign-in", "/sign-up", "/invitation", "/forgot-password", "/password-reset", "/nowhere"]) {
    await page.goto(path);
    await page.getByRole("heading").or(page.getByText("There is nothing here")).first().waitFor();
    await expectAccessible(page);
  }
  expect(problems).toEqual([]);
  await context.close();
});

it("an owner signs up, survives a reload, signs out and in again", async () => {
  const { page, context, problems } = await visit();
  const email = uniqueEmail("owner");
  await page.goto("/documents?status=failed");
  await page.waitForURL("**/sign-in?next=*");
  await page.getByRole("link", { name: "Create an account" }).click();
  await page.getByLabel("Name of your company").fill("Comptoir Baobab");
  await page.getByLabel("E-mail address").fill(email);
  await page.getByLabel("Password").fill("short");
  await page.getByRole("button", { name: "Create an account" }).click();
  await page.getByText("The password needs at least 10 characters.").waitFor();
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Create an account" }).click();
  await page.waitForURL("**/documents*");
  await page.getByText("Comptoir Baobab").first().waitFor();

  await page.reload();
  await page.getByText("Comptoir Baobab").first().waitFor();
  const stored = await page.evaluate(() => JSON.stringify([Object.entries(localStorage), document.cookie]));
  expect(stored).not.toContain("eyJ");

  await page.getByRole("button", { name: /^Account/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.waitForURL("**/sign-in*");
  await page.getByLabel("E-mail address").fill(email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("Comptoir Baobab").first().waitFor();
  await expectAccessible(page);
  expect(problems).toEqual([]);
  await context.close();
});

it("a wrong password says so beside the form", async () => {
  const { page, context } = await visit();
  await page.goto("/sign-in");
  await page.getByLabel("E-mail address").fill(uniqueEmail("nobody"));
  await page.getByLabel("Password").fill("wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("The address or the password is wrong.").waitFor();
  await expectAccessible(page);
  await context.close();
});
