/** A member of two companies, and a session in two tabs. */
import type { Page } from "playwright-core";
import { expect, inject, it } from "vitest";

import { expectAccessible, useBrowser, visit } from "./browser";
import { type Company, createCompany, signIn } from "./company";
import { runSql } from "./database";

useBrowser();

/** An owner of one company who supports another one. */
async function memberOfTwo(): Promise<{ first: Company; second: Company }> {
  const first = await createCompany("Comptoir Baobab");
  const second = await createCompany("Épicerie Zoé");
  const { token } = await second.api<{ token: string }>("POST", "customers/me/invitations", { role: "support" });
  await first.api("POST", "auth/invitations", { invitation: token });
  return { first, second };
}

const switcher = (page: Page, name: string) => page.getByRole("button", { name: `Company ${name}` });

it("a member of two companies changes between them, in each tab by itself", async () => {
  const { first, second } = await memberOfTwo();
  await second.receive({ id: 1, name: "Client de Zoé" }, "Bonjour");
  const { page, context, problems } = await visit();
  await signIn(page, first, "/inbox");
  await page.getByText("No conversation yet").waitFor();
  await switcher(page, first.name).click();
  await expectAccessible(page);
  await page.getByRole("menuitemradio", { name: second.name }).click();
  await switcher(page, second.name).waitFor();
  await page.waitForURL("**/inbox");
  await page.getByRole("link", { name: /^Client de Zoé/ }).waitFor();
  expect(await page.getByRole("link", { name: "First hour" }).count()).toBe(0);

  const other = await context.newPage();
  await other.goto("/documents");
  await switcher(other, second.name).click();
  await other.getByRole("menuitemradio", { name: first.name }).click();
  await switcher(other, first.name).waitFor();
  await page.reload();
  await switcher(page, second.name).waitFor();
  await page.getByRole("link", { name: /^Client de Zoé/ }).waitFor();
  expect(problems).toEqual([]);
  await context.close();
});

it("an owner who helps another company finds the own deleted one in the profile, and restores it there", async () => {
  const { first, second } = await memberOfTwo();
  const { page, context } = await visit();
  await signIn(page, first, "/inbox");
  await switcher(page, first.name).click();
  await page.getByRole("menuitemradio", { name: second.name }).click();
  await switcher(page, second.name).waitFor();
  await runSql("update customers set deleted_at = now() where name = :'name' and user_id = (select id from users where email = :'email')", {
    name: first.name,
    email: first.email,
  });
  await page.goto("/settings/profile");
  await page.getByText("Your own company was deleted").waitFor();
  await page.getByText(/^Until .* everything can be restored/).waitFor();
  await expectAccessible(page);
  await page.getByRole("button", { name: "Restore everything" }).click();
  await page.getByLabel("Your name").waitFor();
  await switcher(page, second.name).click();
  await page.getByRole("menuitemradio", { name: first.name }).click();
  await switcher(page, first.name).waitFor();
  await context.close();
});

it("who is removed from a company goes on to the other one", async () => {
  const { first, second } = await memberOfTwo();
  const { page, context } = await visit({ size: "phone" });
  await signIn(page, first, "/inbox");
  await switcher(page, first.name).click();
  await page.getByRole("menuitemradio", { name: second.name }).click();
  await switcher(page, second.name).waitFor();
  const members = await second.api<{ user_id: string; email: string }[]>("GET", "customers/me/members");
  await second.api("DELETE", `customers/me/members/${members.find(({ email }) => email === first.email)?.user_id ?? ""}`);
  await page.reload();
  await page.getByRole("heading", { name: "Open another company" }).waitFor();
  await expectAccessible(page);
  await page.getByRole("button", { name: first.name }).click();
  await page.getByRole("heading", { name: "First hour" }).waitFor();
  await page.getByRole("banner").getByText(first.name).waitFor();
  await context.close();
});

it("two tabs share the session: reloads at once keep it, a sign-out ends it in both", async () => {
  const company = await createCompany();
  const { page, context, problems } = await visit();
  await signIn(page, company, "/inbox");
  await page.getByRole("heading", { name: "Inbox" }).waitFor();
  const cookie = (await context.cookies(`${inject("url")}/api/v1/auth/refresh`)).find(({ name }) => name === "lisa_refresh");
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict", path: "/api/v1/auth" });
  const readable = await page.evaluate(() => JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage), document.cookie]));
  expect(readable).not.toContain(cookie?.value);
  expect(readable).not.toContain("eyJ");
  const other = await context.newPage();
  await other.goto("/documents");
  await other.getByRole("heading", { name: "Documents" }).waitFor();
  for (let round = 0; round < 3; round += 1) {
    await Promise.all([page.reload(), other.reload()]);
    await page.getByRole("heading", { name: "Inbox" }).waitFor();
    await other.getByRole("heading", { name: "Documents" }).waitFor();
  }
  await page.getByRole("button", { name: /^Account/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.waitForURL("**/sign-in*");
  await other.waitForURL("**/sign-in*");
  expect((await context.cookies(`${inject("url")}/api/v1/auth/refresh`)).filter(({ name }) => name === "lisa_refresh")).toEqual([]);
  await page.reload();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  expect(problems).toEqual([]);
  await context.close();
});
