/** The inbox: a support user's work by keys, what others change, drafts, and texts that want to be markup. */
import type { Page } from "playwright-core";
import { expect, it } from "vitest";

import { expectAccessible, useBrowser, visit } from "./browser";
import { type Company, createCompany, createSupportUser, handOver, repositoryFile, signIn } from "./company";

useBrowser();

interface Listed {
  id: string;
  handler: string;
  display_name: string | null;
}

const conversationsOf = (company: Company) => company.api<Listed[]>("GET", "conversations");
const messagesOf = (company: Company, id: string) =>
  company.api<{ author: string; content: string }[]>("GET", `messages?conversation_id=${id}`);

const scrollOf = (page: Page) => page.getByRole("log").evaluate((box) => ({ top: box.scrollTop, end: box.scrollHeight - box.clientHeight }));

it("a support user answers who waits by R, the text and Enter, and the count goes down", async () => {
  const company = await createCompany();
  const support = await createSupportUser(company);
  const { page, context, problems } = await visit();
  await signIn(page, support, "/inbox");
  await page.getByText("No conversation yet").waitFor();
  await page.getByText("To answer yourself, choose “Take over”", { exact: false }).waitFor();
  await expectAccessible(page);
  const id = await handOver(company, 1, "Awa Koné");
  await page.getByText("Waits for a person").first().waitFor({ timeout: 3_000 });
  await expect.poll(() => page.title()).toBe("(1) Inbox – Lisa");

  await page.keyboard.press("r");
  await page.getByRole("textbox", { name: "Your answer" }).waitFor();
  await page.keyboard.type("Bonjour Awa, je suis là.");
  await page.keyboard.press("Enter");
  await page.getByRole("log").getByText("Bonjour Awa, je suis là.").waitFor();
  await page.getByText("You have it").first().waitFor();
  expect(await page.getByRole("textbox", { name: "Your answer" }).inputValue()).toBe("");
  await expect.poll(() => page.title()).toBe("Inbox – Lisa");
  expect((await messagesOf(company, id)).filter(({ author }) => author === "agent").map(({ content }) => content)).toEqual([
    "Bonjour Awa, je suis là.",
  ]);
  await expectAccessible(page);

  await company.receive({ id: 1, name: "Awa Koné" }, "Merci, et le prix ?");
  await page.getByRole("log").getByText("Merci, et le prix ?").waitFor({ timeout: 3_000 });
  await expect.poll(() => page.title()).toBe("(1) Inbox – Lisa");
  expect(problems).toEqual([]);
  await context.close();
});

it("arrows walk, Enter opens, T takes over and G gives back, and a colleague sees it", async () => {
  const company = await createCompany();
  const first = await handOver(company, 1, "Awa");
  const second = await handOver(company, 2, "Binta");
  const owner = await visit();
  await signIn(owner.page, company, `/inbox?conversation=${second}`);
  const support = await createSupportUser(company);
  const { page, context, problems } = await visit();
  await signIn(page, support, "/inbox?filter=human");
  await page.getByRole("link", { name: /^Binta/ }).waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  await page.waitForURL(`**/inbox?filter=human&conversation=${second}`);
  await page.keyboard.press("t");
  await page.getByText("You have it").first().waitFor();
  await owner.page.getByText(`${support.email} has it`).first().waitFor();
  await page.keyboard.press("g");
  await page.getByRole("button", { name: "Take over" }).waitFor();
  await expect.poll(async () => (await conversationsOf(company)).find(({ id }) => id === second)?.handler).toBe("bot");
  await page.getByRole("link", { name: /^Binta/ }).waitFor({ state: "detached" });
  expect((await conversationsOf(company)).find(({ id }) => id === first)?.handler).toBe("human");

  await page.keyboard.press("/");
  expect(await page.evaluate(() => document.activeElement?.id)).toBe("inbox-search");
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
  await expectAccessible(page);
  await page.getByRole("switch").click();
  await page.keyboard.press("Escape");
  await page.keyboard.press("t");
  await page.keyboard.press("?");
  expect(await page.getByRole("dialog").count()).toBe(0);
  expect((await conversationsOf(company)).find(({ id }) => id === second)?.handler).toBe("bot");
  expect([...problems, ...owner.problems]).toEqual([]);
  await context.close();
  await owner.context.close();
});

it("a draft outlives a reload and a lost connection, and new messages leave the place in the thread", async () => {
  const company = await createCompany();
  const id = await handOver(company, 1, "Awa");
  await company.api("POST", `conversations/${id}/takeover`);
  for (let n = 0; n < 60; n += 1) await company.receive({ id: 1, name: "Awa" }, `Message ${n}: ${"mot ".repeat(20)}`);
  const { page, context, problems } = await visit();
  await signIn(page, company, `/inbox?conversation=${id}`);
  const log = page.getByRole("log");
  await log.getByText("Message 59:").waitFor();
  const start = await scrollOf(page);
  expect(start.top).toBeGreaterThan(start.end - 3);

  const answer = page.getByRole("textbox", { name: "Your answer" });
  await answer.fill("Une réponse commencée");
  await log.evaluate((box) => (box.scrollTop = 300));
  await company.receive({ id: 1, name: "Awa" }, "Encore une chose");
  await page.getByRole("button", { name: "1 new message" }).waitFor();
  expect((await scrollOf(page)).top).toBe(300);
  expect(await answer.inputValue()).toBe("Une réponse commencée");

  await log.evaluate((box) => (box.scrollTop = 0));
  const kept = log.getByText("Message 20:");
  const before = (await kept.boundingBox())?.y;
  await page.getByRole("button", { name: "Earlier messages" }).click();
  await log.getByText("Message 0:").waitFor();
  const after = (await kept.boundingBox())?.y;
  // The button above is gone with the last page.
  expect(Math.abs((after ?? 0) - (before ?? 1_000))).toBeLessThan(60);

  await page.reload();
  await answer.waitFor();
  expect(await answer.inputValue()).toBe("Une réponse commencée");
  // The answer of the server is lost on its way: the text stays, and a repetition sends nothing twice.
  await page.route("**/reply", async (route) => {
    await route.fetch();
    await route.abort();
  });
  await answer.press("Enter");
  await page.getByText("The server was not reached.", { exact: false }).first().waitFor();
  expect(await answer.inputValue()).toBe("Une réponse commencée");
  await page.unroute("**/reply");
  await answer.press("Enter");
  await expect.poll(() => answer.inputValue()).toBe("");
  // Without a connection, the answer waits for it.
  await answer.fill("Une seconde");
  await context.setOffline(true);
  await page.getByText("No connection.", { exact: false }).waitFor();
  await answer.press("Enter");
  await context.setOffline(false);
  await log.getByText("Une seconde").waitFor();
  const sent = (await messagesOf(company, id)).filter(({ author }) => author === "agent").map(({ content }) => content);
  expect(sent).toEqual(["Une seconde", "Une réponse commencée"]);
  expect(problems.filter((problem) => !/ERR_INTERNET_DISCONNECTED|ERR_FAILED/.test(problem))).toEqual([]);
  await context.close();
});

it("hostile names and texts stay texts, on a phone and dark", async () => {
  const company = await createCompany();
  const name = '<img src=x onerror="document.title=1">';
  await company.receive({ id: 2, name: "محمد العربي" }, "مرحبا، كم تكلفة التوصيل؟");
  await company.receive({ id: 3, name: "N".repeat(200) }, "x".repeat(10_000));
  const id = await handOver(company, 1, name);
  await company.api("POST", `conversations/${id}/takeover`);
  await company.receive({ id: 1, name }, `<script>alert(1)</script> ${"long ".repeat(1_900)}`);
  const { page, context, problems } = await visit({ size: "phone", dark: true });
  await signIn(page, company, "/inbox");
  await page.getByText(name).first().waitFor();
  await expectAccessible(page);
  await page.getByText(name).first().click();
  await page.getByRole("log").getByText("<script>alert(1)</script>", { exact: false }).waitFor();
  await page.getByRole("button", { name: "Show all" }).click();
  await expectAccessible(page);
  await page.getByRole("button", { name: "All conversations" }).click();
  await page.getByText("N".repeat(200)).click();
  await page.getByRole("log").waitFor();
  await expectAccessible(page);
  expect(await page.locator("main img, main script").count()).toBe(0);
  expect(problems).toEqual([]);
  await context.close();
});

it("a rating is stored, and a source leads to the document at its page", async () => {
  const company = await createCompany();
  const document = await company.upload("guide-livraison.pdf", repositoryFile("docs/samples/guide-livraison.pdf"));
  const { page, context } = await visit();
  await signIn(page, company, "/inbox");
  await company.receive({ id: 1, name: "Awa" }, "Combien coûte la livraison à Abidjan ?");
  await page.getByRole("link", { name: /^Awa/ }).click();
  await page.getByRole("button", { name: "Good answer" }).click({ timeout: 20_000 });
  await page.getByText("your rating is stored", { exact: false }).waitFor();
  await page.getByRole("log").locator("em").getByText(/^Source/).waitFor();
  expect(await page.getByRole("link", { name: /^Awa/ }).innerText()).not.toMatch(/Source|[*_]/);
  await page.getByText("To answer yourself, choose “Take over”", { exact: false }).waitFor();
  const isGood = () => page.getByRole("button", { name: "Good answer" }).getAttribute("aria-pressed");
  expect(await isGood()).toBe("true");
  await page.reload();
  await page.getByRole("button", { name: "Good answer" }).waitFor();
  expect(await isGood()).toBe("true");
  // A colleague has an opinion of its own.
  const colleague = await visit();
  await signIn(colleague.page, await createSupportUser(company), new URL(page.url()).pathname + new URL(page.url()).search);
  const theirs = colleague.page.getByRole("button", { name: "Good answer" });
  await theirs.waitFor();
  expect(await theirs.getAttribute("aria-pressed")).toBe("false");
  await colleague.context.close();
  expect(await page.getByRole("link", { name: "guide-livraison.pdf, p. 1" }).getAttribute("href")).toBe(`/documents/${document}?page=1`);
  await context.close();
});

it("WhatsApp's marks are shown as what they mean, and stay texts beside HTML", async () => {
  const company = await createCompany();
  const id = await handOver(company, 1, "Awa");
  await company.api("POST", `conversations/${id}/takeover`);
  await company.api("POST", `conversations/${id}/reply`, { text: "*Prix* : _1 500 F_ <b>net</b>" });
  const { page, context, problems } = await visit();
  await signIn(page, company, `/inbox?conversation=${id}`);
  const log = page.getByRole("log");
  await log.locator("strong").getByText("Prix", { exact: true }).waitFor();
  await log.locator("em").getByText("1 500 F", { exact: true }).waitFor();
  await log.getByText("<b>net</b>", { exact: false }).waitFor();
  expect(await log.locator("b").count()).toBe(0);
  await page.getByRole("link", { name: /^Awa.*Prix : 1 500 F/ }).waitFor();
  await expectAccessible(page);
  expect(problems).toEqual([]);
  await context.close();
});

it("says what is wrong: no such conversation, no service, no access", async () => {
  const company = await createCompany();
  const { page, context } = await visit();
  await signIn(page, company, `/inbox?conversation=${crypto.randomUUID()}`);
  await page.getByText("There is nothing here").waitFor();
  await expectAccessible(page);
  const refuse = (status: number, code: string) =>
    page.route("**/api/v1/conversations?*limit=50*", (route) =>
      route.fulfill({ status, json: { success: false, error: { code, message: code, request_id: "req-of-the-test" } } }),
    );
  for (const [status, code, text] of [
    [403, "forbidden", "You may not see this"],
    [500, "internal_error", "This did not work"],
  ] as const) {
    await refuse(status, code);
    await page.goto("/inbox");
    await page.getByText(text).waitFor();
    await page.getByText("req-of-the-test", { exact: false }).waitFor();
    await expectAccessible(page);
  }
  await context.close();
});
