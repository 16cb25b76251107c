/** An inbox with ten thousand conversations: the list, its pages, the search and the feed stay usable. */
import { expect, it } from "vitest";

import { expectAccessible, useBrowser, visit } from "./browser";
import { createCompany, signIn } from "./company";
import { runSql } from "./database";

useBrowser();

/** Each with one message; 150 of them wait for a person. Number 1 wrote last. */
const CONVERSATIONS = `
  insert into conversations (customer_id, contact_id, display_name, user_phone, handler, handover_reason, handover_until, last_message_at, last_inbound_at)
  select :'company', 'c' || n, case n % 3 when 0 then 'زبون ' when 1 then 'Client ' else '<b>Cliente</b> ' end || n,
    '+22507' || lpad(n::text, 8, '0'), case when n % 60 = 0 then 'human' else 'bot' end, case when n % 60 = 0 then 'keyword' end,
    case when n % 60 = 0 then now() + interval '3 hours' end, now() - n * interval '1 minute', now() - n * interval '1 minute'
  from generate_series(1, 10000) n;
  insert into messages (customer_id, conversation_id, direction, author, content, skipped_reason, created_at)
  select customer_id, id, 'inbound', 'contact', 'Bonjour, avez-vous du café ?', case when handler = 'bot' then 'courtesy' end, last_message_at
  from conversations where customer_id = :'company';`;

const ROWS = 'ul[aria-label="Conversations"] > li';

it("ten thousand conversations are paged, searched, filtered, opened by address and followed", async () => {
  const company = await createCompany();
  const { tenant } = await company.api<{ tenant: { id: string } }>("GET", "context");
  await runSql(CONVERSATIONS, { company: tenant.id });
  const { page, context, problems } = await visit();
  await signIn(page, company, "/inbox");
  await page.getByRole("link", { name: /^Client 1\b/ }).waitFor();
  expect(await page.locator(ROWS).count()).toBe(50);
  await expectAccessible(page);
  await expect.poll(() => page.title()).toBe("(99+) Inbox – Lisa");
  await page.getByRole("navigation", { name: "Show" }).getByText("more than 99 conversations wait").waitFor();
  for (let pages = 2; pages <= 10; pages += 1) {
    await page.getByRole("button", { name: "Show more" }).click();
    await expect.poll(() => page.locator(ROWS).count()).toBe(pages * 50);
  }

  // The end of the list is in sight when a new message comes: the place stays, and the list shows it on top.
  const last = page.getByRole("link", { name: /^Client 499\b/ });
  await last.scrollIntoViewIfNeeded();
  await company.receive({ id: 77, name: "Nouvelle cliente" }, "Bonjour");
  await expect.poll(() => page.locator(ROWS).first().innerText(), { timeout: 20_000 }).toContain("Nouvelle cliente");
  expect(await last.isVisible()).toBe(true);

  const search = page.getByRole("searchbox");
  await search.fill("client 9994");
  await page.getByRole("link", { name: /^Client 9994\b/ }).click();
  await page.getByRole("log").getByText("avez-vous du café").waitFor();
  await search.fill("+22507 00009993");
  await page.getByRole("link", { name: /^زبون 9993/ }).waitFor();
  expect(await page.locator(ROWS).count()).toBe(1);

  // The open conversation is far beyond the loaded pages: its address alone shows it.
  await search.fill("");
  await page.getByRole("link", { name: "Nouvelle cliente" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { level: 2, name: "Client 9994" }).waitFor();
  await page.goto("/inbox?filter=waiting");
  await page.getByRole("link", { name: /^زبون 60\b/ }).waitFor();
  await page.getByRole("button", { name: "Show more" }).click();
  await page.getByRole("link", { name: /^زبون 6000/ }).waitFor();
  expect(problems).toEqual([]);
  await context.close();
});
