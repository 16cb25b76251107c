/** A member of two companies. */
import type { BrowserContext, Page } from "playwright-core";
import { expect, it } from "vitest";

import { expectAccessible, useBrowser, visit } from "./browser";
import { type Company, createCompany, signIn } from "./company";

useBrowser();

interface OwnCompany {
  id: string;
  name: string;
  role: string;
  status: string;
}

/** An owner of one company who supports another one. */
async function memberOfTwo(): Promise<{ first: Company; second: Company; companies: OwnCompany[] }> {
  const first = await createCompany("Comptoir Baobab");
  const second = await createCompany("Épicerie Zoé");
  const { id: firstId } = await first.api<{ id: string }>("GET", "customers/me");
  const { token } = await second.api<{ token: string }>("POST", "customers/me/invitations", { role: "support" });
  const { id: secondId } = await first.api<{ id: string }>("POST", "auth/invitations", { invitation: token });
  const companies = [
    { id: firstId, name: first.name, role: "owner", status: "active" },
    { id: secondId, name: second.name, role: "support", status: "active" },
  ];
  return { first, second, companies };
}

/** Gives the profile its companies, for a back end whose profile has none yet. */
async function withCompanies(context: BrowserContext, companies: readonly OwnCompany[]): Promise<void> {
  await context.route("**/api/v1/profiles/me", async (route) => {
    const answer = await route.fetch();
    const body = (await answer.json()) as { data?: object };
    await route.fulfill({ response: answer, json: { ...body, data: { companies, is_administrator: false, ...body.data } } });
  });
}

const switcher = (page: Page, name: string) => page.getByRole("button", { name: `Company ${name}` });

it("a member of two companies changes between them, and stays there over a reload", async () => {
  const { first, second, companies } = await memberOfTwo();
  await second.receive({ id: 1, name: "Client de Zoé" }, "Bonjour");
  const { page, context, problems } = await visit();
  await withCompanies(context, companies);
  await signIn(page, first, "/inbox");
  await page.getByText("No conversation yet").waitFor();
  await switcher(page, first.name).click();
  await expectAccessible(page);
  await page.getByRole("menuitemradio", { name: second.name }).click();
  await switcher(page, second.name).waitFor();
  await page.waitForURL("**/inbox");
  await page.getByRole("link", { name: /^Client de Zoé/ }).waitFor();
  expect(await page.getByRole("link", { name: "First hour" }).count()).toBe(0);

  await page.reload();
  await switcher(page, second.name).waitFor();
  await page.getByRole("link", { name: /^Client de Zoé/ }).waitFor();
  expect(problems).toEqual([]);
  await context.close();
});

it("who is removed from a company goes on to the other one", async () => {
  const { first, second, companies } = await memberOfTwo();
  const { page, context } = await visit({ size: "phone" });
  await withCompanies(context, companies);
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
