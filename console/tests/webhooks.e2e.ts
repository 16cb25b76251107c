/** Outgoing webhooks by the interface: an endpoint's whole life, with a receiver that answers well, badly and "gone". */
import { createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";

import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, it } from "vitest";

import { expectAccessible, useBrowser, visit } from "./browser";
import { type Company, createCompany, createSupportUser, signIn } from "./company";

useBrowser();

const SITE = "https://hooks.example.com";

interface Received {
  path: string;
  body: string;
  headers: IncomingMessage["headers"];
}

let server: Server;
/** The answer to a path; 204 for others. */
const answers = new Map<string, number>();
const received: Received[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const path = request.url ?? "";
      received.push({ path, body: Buffer.concat(parts).toString(), headers: request.headers });
      response.writeHead(answers.get(path) ?? 204).end();
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(inject("receiverPort"), "127.0.0.1", resolve);
  });
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

const sentTo = (path: string) => received.filter((request) => request.path === path);

/** Verifies a request as docs/WEBHOOKS.md says. */
function isSignedBy(secret: string, { headers, body }: Received): boolean {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const signed = `${String(headers["webhook-id"])}.${String(headers["webhook-timestamp"])}.${body}`;
  return String(headers["webhook-signature"]).split(" ").includes(`v1,${createHmac("sha256", key).update(signed).digest("base64")}`);
}

/** Reads the secret that is shown once, and closes it. */
async function takeSecret(page: Page): Promise<string> {
  const secret = await page.getByRole("dialog").locator("code").innerText();
  expect(secret).toMatch(/^whsec_/);
  await page.getByRole("button", { name: "I have copied it" }).click();
  return secret;
}

/** An endpoint of all events at a path of its own. */
async function createEndpoint(company: Company): Promise<{ path: string; endpoint: { id: string; secret: string } }> {
  const path = `/${crypto.randomUUID()}`;
  return { path, endpoint: await company.api("POST", "webhook-endpoints", { url: SITE + path }) };
}

const first = (page: Page) => page.getByRole("list", { name: "Deliveries" }).getByRole("listitem").first();

it("an owner creates an endpoint, takes its secret, and sees a test event arrive", async () => {
  const company = await createCompany("Épicerie <b>Zoé</b> مرحبا");
  const path = `/${crypto.randomUUID()}`;
  const { page, context, problems } = await visit();
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await signIn(page, company, "/settings/webhooks");
  await page.getByText("No endpoint yet").waitFor();
  await expectAccessible(page);

  await page.getByRole("button", { name: "Add an endpoint" }).click();
  await page.getByLabel("Address (URL)").fill("http://hooks.example.com");
  await page.getByRole("radio", { name: "Only these" }).check();
  await page.getByRole("button", { name: "Create the endpoint" }).click();
  await page.getByText("The address must begin with https://.").waitFor();
  await page.getByText("Choose at least one event.").waitFor();
  await expectAccessible(page);
  await page.getByLabel("Address (URL)").fill(SITE + path);
  await page.getByLabel("Description").fill("Order desk <i> مرحبا");
  await page.getByRole("checkbox", { name: "New order" }).check();
  await page.reload();
  await page.getByRole("button", { name: "Add an endpoint" }).click();
  expect(await page.getByLabel("Address (URL)").inputValue()).toBe(SITE + path);
  await page.getByRole("button", { name: "Create the endpoint" }).click();
  await page.getByRole("dialog").getByText("This is shown once.", { exact: false }).waitFor();
  await expectAccessible(page);
  await page.getByRole("button", { name: "Copy: Signing secret" }).click();
  await page.getByText("Copied", { exact: true }).waitFor();
  const secret = await takeSecret(page);
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(secret);
  await page.getByRole("heading", { level: 1, name: "Order desk <i> مرحبا" }).waitFor();
  await page.getByText("Nothing was sent yet").waitFor();

  await page.getByRole("button", { name: "Send a test event" }).click();
  await first(page).getByText("Delivered").waitFor();
  await first(page).getByText(/1 attempt · HTTP 204 · [\d,]+\sms/).waitFor();
  expect(sentTo(path).map((request) => isSignedBy(secret, request))).toEqual([true]);
  await expectAccessible(page);
  expect(problems).toEqual([]);
  await context.close();
});

it("failures are explained, an endpoint is switched off and on, and what failed is sent again", async () => {
  const company = await createCompany();
  const { path, endpoint } = await createEndpoint(company);
  answers.set(path, 500);
  const { page, context, problems } = await visit();
  await signIn(page, company, `/settings/webhooks/${endpoint.id}`);
  await page.getByRole("button", { name: "Send a test event" }).click();
  await first(page).getByText("The answer was not 2xx.").waitFor();
  await page.getByText("Failing", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Switch off" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Switch off" }).click();
  await page.getByText("An owner switched it off", { exact: false }).waitFor();
  await first(page).getByText("The endpoint was switched off before it was sent.").waitFor();
  await expectAccessible(page);
  await page.getByRole("button", { name: "Switch on again" }).click();
  answers.delete(path);
  await page.getByRole("button", { name: "Failed", exact: true }).click();
  await page.waitForURL(/status=failed/);
  await page.getByRole("button", { name: "Send failed ones again" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Send again" }).click();
  await page.getByText("1 event is sent again.").waitFor();
  await page.getByText("No such delivery").waitFor();
  await page.getByRole("button", { name: "All", exact: true }).click();
  await first(page).getByText("Delivered").waitFor();

  answers.set(path, 410);
  await page.getByRole("button", { name: "Send a test event" }).click();
  await page.getByText("which asks for no more events", { exact: false }).waitFor();
  await first(page).getByText("Failed").waitFor();
  await page.getByRole("button", { name: "Switch on again" }).click();
  await page.getByText("Active", { exact: true }).waitFor();
  expect(problems).toEqual([]);
  await context.close();
});

it("a secret is replaced while both sign, then at once, and the endpoint is deleted", async () => {
  const company = await createCompany();
  const { path, endpoint } = await createEndpoint(company);
  const { secret } = endpoint;
  const { page, context, problems } = await visit();
  await signIn(page, company, `/settings/webhooks/${endpoint.id}`);
  await page.getByRole("button", { name: "Replace the secret" }).click();
  await page.getByLabel("The present secret is valid for").selectOption({ label: "seven more days" });
  await page.getByRole("dialog").getByRole("button", { name: "Replace the secret" }).click();
  const second = await takeSecret(page);
  await page.getByText("The previous secret signs too until", { exact: false }).waitFor();
  await page.getByRole("button", { name: "Send a test event" }).click();
  await first(page).getByText("Delivered").waitFor();
  const last = sentTo(path).at(-1);
  expect([secret, second].map((known) => last !== undefined && isSignedBy(known, last))).toEqual([true, true]);
  await page.getByRole("button", { name: "Replace the secret" }).click();
  await page.getByText("A secret was replaced already", { exact: false }).waitFor();
  await expectAccessible(page);
  await page.getByRole("dialog").getByRole("button", { name: "Replace the secret" }).click();
  await takeSecret(page);
  await expect.poll(() => page.getByText("The previous secret signs too until", { exact: false }).count()).toBe(0);

  await page.getByRole("button", { name: "Delete the endpoint" }).click();
  await page.getByRole("dialog").getByText(path, { exact: false }).waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Delete the endpoint" }).click();
  await page.getByText("No endpoint yet").waitFor();
  expect(await company.api("GET", "webhook-endpoints")).toEqual([]);
  expect(problems).toEqual([]);
  await context.close();
});

it("refusals are named, pages are turned, five are the maximum, and a support user sees none", async () => {
  const company = await createCompany();
  const make = (name: string) => company.api<{ id: string; secret: string }>("POST", "webhook-endpoints", { url: `${SITE}/${name}`, description: name });
  const endpoint = await make("one");
  for (const name of ["two", "three"]) await make(name);
  await Promise.all(Array.from({ length: 23 }, () => company.api("POST", `webhook-endpoints/${endpoint.id}/test`)));
  const { page, context } = await visit({ size: "phone", dark: true });
  await signIn(page, company, "/settings/webhooks");
  await page.getByRole("button", { name: "Add an endpoint" }).click();
  await page.getByLabel("Address (URL)").fill(`${SITE}/one`);
  await page.getByRole("button", { name: "Create the endpoint" }).click();
  await page.getByText("Another endpoint has this address already.", { exact: false }).waitFor();
  await page.getByLabel("Address (URL)").fill("https://192.168.0.1/");
  await page.getByRole("button", { name: "Create the endpoint" }).click();
  await page.getByText("must not lead to a private or reserved address", { exact: false }).waitFor();
  await page.getByRole("button", { name: "Cancel" }).click();

  await page.getByRole("link", { name: "one", exact: true }).click();
  await page.getByText("Page 1 of 2", { exact: false }).waitFor();
  await page.getByRole("link", { name: "Next" }).click();
  await page.waitForURL(/page=2/);
  await expect.poll(() => page.getByRole("list", { name: "Deliveries" }).getByRole("listitem").count()).toBe(3);
  await expectAccessible(page);

  // A colleague was faster: the page still offers what the server refuses.
  await company.api("PATCH", `webhook-endpoints/${endpoint.id}`, { enabled: false });
  await page.getByRole("button", { name: "Send a test event" }).click();
  await page.getByText("The endpoint is switched off. Switch it on first.").waitFor();
  await page.getByRole("button", { name: "Switch on again" }).waitFor();
  await company.api("POST", `webhook-endpoints/${endpoint.id}/secret`, {});
  await page.getByRole("button", { name: "Replace the secret" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Replace the secret" }).click();
  await page.getByText("A secret was replaced already", { exact: false }).waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();

  for (const name of ["four", "five"]) await make(name);
  await page.getByRole("link", { name: "All endpoints" }).click();
  await page.getByText("There are 5 endpoints, which is the maximum.", { exact: false }).waitFor();
  expect(await page.getByRole("button", { name: "Add an endpoint" }).count()).toBe(0);
  await expectAccessible(page);
  await context.close();

  const support = await createSupportUser(company);
  const colleague = await visit();
  await signIn(colleague.page, support, `/settings/webhooks/${endpoint.id}`);
  await colleague.page.getByText("Only owners see this").waitFor();
  await expectAccessible(colleague.page);
  await colleague.context.close();
});
