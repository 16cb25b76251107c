/** Failures in the middle of work: what is typed stays, the page says what to do, and goes on when it can. */
import type { Page } from "playwright-core";
import { expect, it } from "vitest";

import { expectAccessible, useBrowser, visit } from "./browser";
import { createCompany, createSupportUser, handOver, PASSWORD, repositoryFile, signIn } from "./company";
import { runSql } from "./database";

useBrowser();

/** Refuses the next call of a route, then lets the calls through again. */
async function refuseOnce(page: Page, path: string, status: number, code: string, headers: Record<string, string> = {}): Promise<void> {
  await page.route(
    path,
    (route) => route.fulfill({ status, headers, json: { success: false, error: { code, message: code, request_id: `req-${status}` } } }),
    { times: 1 },
  );
}

const answerOf = (page: Page) => page.getByRole("textbox", { name: "Your answer" });

it("429 and 503 of an answer are said with what to do, and the answer goes out afterwards, once", async () => {
  const company = await createCompany();
  const id = await handOver(company, 1, "Awa");
  const { page, context } = await visit({ size: "phone" });
  await signIn(page, company, `/inbox?conversation=${id}`);
  await answerOf(page).fill("Bonjour Awa");
  const send = page.getByRole("button", { name: "Send" });
  for (const [status, code, text] of [
    [429, "rate_limited", "Too many requests at once. Try again in 7 seconds."],
    [503, "unavailable", "The service is not available for the moment. Nothing is lost. Try again in 7 seconds."],
  ] as const) {
    await refuseOnce(page, "**/reply", status, code, { "retry-after": "7" });
    await send.click();
    await page.getByRole("alert").getByText(text).waitFor();
    await page.getByText(`Request req-${status}`).waitFor();
    expect(await answerOf(page).inputValue()).toBe("Bonjour Awa");
    await expectAccessible(page);
  }
  await send.click();
  await page.getByRole("log").getByText("Bonjour Awa").waitFor();
  await expect.poll(() => page.getByRole("alert").count()).toBe(0);
  expect(await answerOf(page).inputValue()).toBe("");
  const messages = await company.api<{ author: string }[]>("GET", `messages?conversation_id=${id}`);
  expect(messages.filter(({ author }) => author === "agent")).toHaveLength(1);
  await context.close();
});

it("a page that meets 429 and 503 waits as long as it is told, and then shows itself", async () => {
  const company = await createCompany();
  await company.upload("retours.txt", "Les retours sont gratuits.");
  const { page, context } = await visit();
  await signIn(page, company, "/orders");
  await page.getByText("No orders yet").waitFor();
  const asked: number[] = [];
  await page.route("**/api/v1/documents?*", (route) => {
    asked.push(Date.now());
    if (asked.length > 2) return route.fallback();
    const status = asked.length === 1 ? 429 : 503;
    return route.fulfill({ status, headers: { "retry-after": "1" }, json: { success: false, error: { code: "busy", message: "busy", request_id: "req" } } });
  });
  await page.getByRole("link", { name: "Documents", exact: true }).click();
  await page.getByRole("link", { name: "retours.txt" }).waitFor();
  const [first = 0, second = 0, third = 0] = asked;
  expect(second - first).toBeGreaterThanOrEqual(1_000);
  expect(third - second).toBeGreaterThanOrEqual(1_000);
  await context.close();
});

it("402: the plan's banner leads an owner to the payment page, and a support user to the owner", async () => {
  const company = await createCompany();
  await company.upload("guide-livraison.pdf", repositoryFile("docs/samples/guide-livraison.pdf"));
  await runSql("update user_settings set free_quota_used = free_quota_limit where user_id = (select id from users where email = :'email');", { email: company.email });
  const owner = await visit();
  await signIn(owner.page, company, "/playground");
  await owner.page.getByRole("textbox", { name: "Question" }).fill("Combien coûte la livraison ?");
  await owner.page.keyboard.press("Enter");
  const banner = owner.page.getByRole("status").filter({ hasText: "Your plan is used up" });
  await banner.getByText("The free questions are used up. A plan lifts the limit.").waitFor();
  await owner.page.getByText("Combien coûte la livraison ?").waitFor();
  await expectAccessible(owner.page);
  // The banner stays on the other pages, until it is dismissed or followed.
  await owner.page.getByRole("link", { name: "Inbox" }).click();
  await owner.page.getByText("No conversation yet").waitFor();
  await banner.getByRole("button", { name: "Choose a plan" }).click();
  await owner.page.waitForURL(/\/pay\/cs_test_/);
  await owner.context.close();

  const support = await visit({ size: "phone" });
  await signIn(support.page, await createSupportUser(company), "/playground");
  await support.page.getByRole("textbox", { name: "Question" }).fill("Combien coûte la livraison ?");
  await support.page.getByRole("button", { name: "Send" }).click();
  await support.page.getByText("Ask the owner of the company to choose a plan.").waitFor();
  expect(await support.page.getByRole("button", { name: "Choose a plan" }).count()).toBe(0);
  await expectAccessible(support.page);
  await support.page.getByRole("button", { name: "Dismiss" }).click();
  await support.page.getByText("Your plan is used up").waitFor({ state: "detached" });
  await support.context.close();
});

it("401: a session that ended elsewhere leads to the sign-in page, and back to the conversation with the draft", async () => {
  const company = await createCompany();
  const support = await createSupportUser(company);
  const id = await handOver(company, 1, "Awa");
  const { page, context } = await visit();
  await signIn(page, support, `/inbox?conversation=${id}`);
  await answerOf(page).fill("Une réponse commencée");
  // A new password ends every session; the access token of this window is refused with it.
  const { user_id } = (await company.api<{ user_id: string; email: string }[]>("GET", "customers/me/members")).find(({ email }) => email === support.email) ?? { user_id: "" };
  await runSql("delete from refresh_sessions where user_id = :'user';", { user: user_id });
  await page.route("**/api/v1/conversations/*/reply", (route) => route.continue({ headers: { ...route.request().headers(), authorization: "Bearer ended" } }));
  await answerOf(page).press("Enter");
  await page.waitForURL("**/sign-in?next=*");
  await page.getByText("Your session has ended", { exact: false }).waitFor();
  await expectAccessible(page);
  await page.unrouteAll();
  await page.getByLabel("E-mail address").fill(support.email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`**/inbox?conversation=${id}`);
  await answerOf(page).waitFor();
  expect(await answerOf(page).inputValue()).toBe("Une réponse commencée");
  await answerOf(page).press("Enter");
  await page.getByRole("log").getByText("Une réponse commencée").waitFor();
  await context.close();
});

it("offline: the banner says it, forms and drafts keep what was typed, and the page catches up", async () => {
  const company = await createCompany();
  const id = await handOver(company, 1, "Awa");
  const { page, context } = await visit({ size: "phone", dark: true });
  await signIn(page, company, "/orders/new");
  await page.getByLabel("Name of the customer").fill("Awa Koné");
  await page.getByLabel("Product or name").fill("Café moulu");
  await context.setOffline(true);
  const banner = page.getByText("No connection.", { exact: false });
  await banner.waitFor();
  await page.getByRole("button", { name: "Create the order" }).click();
  expect(await page.getByLabel("Product or name").inputValue()).toBe("Café moulu");
  await expectAccessible(page);
  await context.setOffline(false);
  await banner.waitFor({ state: "detached" });
  // The order that was sent without a connection is sent by itself when the connection is back, once.
  await page.getByText("1 item has no price yet.", { exact: false }).waitFor();
  expect(await company.api<unknown[]>("GET", "orders")).toHaveLength(1);

  await page.goto(`/inbox?conversation=${id}`);
  await answerOf(page).fill("Je regarde");
  await context.setOffline(true);
  await banner.waitFor();
  await company.receive({ id: 1, name: "Awa" }, "Êtes-vous là ?");
  await context.setOffline(false);
  await page.getByRole("log").getByText("Êtes-vous là ?").waitFor();
  expect(await answerOf(page).inputValue()).toBe("Je regarde");
  await context.close();
});
