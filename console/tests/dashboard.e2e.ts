/** Dashboard and activities: figures, charts, table and file of a period; what happened, with its links. */
import { expect, it } from "vitest";

import { contentOf, expectAccessible, useBrowser, visit } from "./browser";
import { createCompany, signIn } from "./company";

useBrowser();

it("the figures of a period are numbers, charts, a table and a file that say the same", async () => {
  const company = await createCompany();
  await company.api("PATCH", "customers/me", { currency: "EUR", timezone: "Africa/Abidjan" });
  const { page, context, problems } = await visit();
  await signIn(page, company, "/dashboard");
  await page.getByText("Nothing happened in this period").waitFor();
  await expectAccessible(page);
  for (const price of ["10", "2.50"]) {
    const { id } = await company.api<{ id: string }>("POST", "orders", { items: [{ name: "Sac", quantity: 2, unit_price: price }] });
    await company.api("PATCH", `orders/${id}`, { status: "confirmed" });
  }
  await page.goto("/dashboard?from=x&to=y");
  await page.getByText("Show 30 days as a table").waitFor();
  await page.goto("/dashboard?days=7");
  await page.getByRole("definition").filter({ hasText: "€25.00" }).waitFor();
  await page.getByRole("img", { name: /^Orders\. In all: Orders 2\. Most: .* \(2\)\.$/ }).waitFor();
  await page.getByRole("img", { name: /^Revenue \(EUR\)\. In all: Revenue €25\.00/ }).waitFor();
  await page.getByText("Show 7 days as a table").click();
  const today = page.getByRole("table", { name: "Figures by day" }).getByRole("row").nth(1);
  await today.getByRole("cell", { name: "€25.00" }).waitFor();
  await expectAccessible(page);

  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download as CSV" }).click()]);
  const lines = (await contentOf(download)).toString().trimEnd().split("\r\n");
  expect(lines[0]).toBe(
    "\ufeffDay,Conversations,Messages,The bot,A person,Unanswered,Handed over,Orders,Revenue (EUR),Cost of language models (USD),Thumbs up,Thumbs down",
  );
  expect(lines).toHaveLength(8);
  expect(lines.at(-1)).toBe(`${download.suggestedFilename().slice(-14, -4)},0,0,0,0,0,0,2,25,0,0,0`);

  await page.getByRole("link", { name: "12 months" }).click();
  await page.getByText("Show 365 days as a table").waitFor();
  expect(new URL(page.url()).search).toBe("?days=365");
  await page.getByLabel("From").fill("2020-01-01");
  await page.getByText("Choose a first and a last day, 366 days at most.").waitFor();
  await page.getByLabel("Until").fill("2020-01-31");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await page.getByText("Nothing happened in this period").waitFor();
  expect(new URL(page.url()).search).toBe("?from=2020-01-01&to=2020-01-31");
  expect(problems).toEqual([]);
  await context.close();
});

it("what happened appears by itself, is filtered by the address, and leads to what it is about", async () => {
  const company = await createCompany();
  const { page, context, problems } = await visit({ size: "phone", dark: true, language: "fr" });
  await signIn(page, company, "/activities");
  await page.getByText("Rien ne s’est encore passé").waitFor();
  await expectAccessible(page);
  const { id, number } = await company.api<{ id: string; number: string }>("POST", "orders", { items: [{ name: "Sac", quantity: 1, unit_price: "5" }] });
  await page.getByText("Une commande a été passée").and(page.locator("p")).waitFor();
  await company.api("PATCH", `orders/${id}`, { status: "cancelled" });
  await page.getByText("Une commande est annulée").and(page.locator("p")).waitFor();
  await expectAccessible(page);
  await page.getByLabel("Événement").selectOption("order_created");
  await expect.poll(() => page.getByRole("main").getByRole("listitem").count()).toBe(1);
  expect(new URL(page.url()).search).toBe("?type=order_created");
  await page.getByRole("link", { name: `Commande ${number}` }).click();
  await page.getByRole("heading", { name: `Commande ${number}` }).waitFor();
  await page.goto("/dashboard");
  await page.getByRole("img", { name: /^Commandes/ }).waitFor();
  await expectAccessible(page);
  await page.goto("/activities?status=error");
  await page.getByText("Rien ne correspond à ces filtres").waitFor();
  expect(problems).toEqual([]);
  await context.close();
});
