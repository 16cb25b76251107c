/** An owner's first hour on one page, and the two links that are given by hand: an invitation, a new password. */
import { expect, inject, it } from "vitest";

import { expectAccessible, uniqueEmail, useBrowser, visit } from "./browser";
import { createCompany, createSupportUser, PASSWORD, repositoryFile, signIn } from "./company";
import { runSql } from "./database";

useBrowser();

it("the first hour fills itself, from an upload to an invited colleague", async () => {
  const { page, context, problems } = await visit();
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto("/sign-up");
  await page.getByLabel("Name of your company").fill("Comptoir Baobab");
  await page.getByLabel("E-mail address").fill(uniqueEmail("owner"));
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Create an account" }).click();
  await page.waitForURL("**/start");
  await page.getByText("0 of 5 done").waitFor();
  await page.getByText("Your account has 8 free questions.").waitFor();
  await expectAccessible(page);

  await page.getByRole("link", { name: "To the documents" }).click();
  await page.getByText("No documents yet").waitFor();
  await page
    .locator('input[type="file"][multiple]')
    .setInputFiles({ name: "guide-livraison.pdf", mimeType: "application/pdf", buffer: repositoryFile("docs/samples/guide-livraison.pdf") });
  await page.getByRole("region", { name: "Documents" }).getByText("Ready", { exact: true }).waitFor({ timeout: 60_000 });
  await page.getByRole("link", { name: "First hour" }).click();
  await page.getByText("1 of 5 done").waitFor();

  await page.getByLabel("Your question").fill("Combien coûte la livraison à Abidjan ?");
  await page.getByRole("button", { name: "Ask", exact: true }).click();
  await page.getByRole("link", { name: "guide-livraison.pdf, p. 1" }).waitFor({ timeout: 20_000 });
  await page.getByText("2 of 5 done").waitFor();
  await page.getByText("7 of them are left.", { exact: false }).waitFor();

  await page.getByText("You need ManyChat’s Pro plan.").waitFor();
  await page.getByRole("button", { name: "Make the secret" }).click();
  await page.getByRole("button", { name: "Copy: Secret" }).first().click();
  const secret = await page.evaluate(() => navigator.clipboard.readText());
  await page.getByRole("button", { name: "Copy: X-Webhook-Secret" }).click();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe("X-Webhook-Secret");
  await page.getByLabel("ManyChat key").fill("not a key");
  await page.getByRole("button", { name: "Try and store" }).click();
  await page.getByText(/Not accepted|not valid/).waitFor();
  await page.getByLabel("ManyChat key").fill("1001:fake-manychat-key-of-the-first-page");
  await page.getByRole("button", { name: "Try and store" }).click();
  await page.getByText("Stored:", { exact: false }).waitFor();
  await expectAccessible(page);

  const webhook = (body: string) =>
    fetch(`${inject("url")}/api/v1/webhook/manychat`, { method: "POST", headers: { "x-webhook-secret": secret, "content-type": "application/json" }, body });
  expect((await webhook("id=1103&text=Bonjour")).status).toBe(400);
  await page.getByText("could not be read", { exact: false }).waitFor({ timeout: 10_000 });
  expect((await webhook(JSON.stringify({ id: 1, name: "Awa", last_input_text: "Bonjour" }))).status).toBe(200);
  await page.getByText("3 of 5 done").waitFor({ timeout: 5_000 });
  await page.getByText("First message received: Awa", { exact: false }).waitFor();

  await page.getByLabel("E-mail address of your colleague").fill("not an address");
  await page.getByRole("button", { name: "Make the invitation" }).click();
  await page.getByText("Enter an e-mail address", { exact: false }).waitFor();
  await page.getByLabel("E-mail address of your colleague").fill("");
  await page.getByRole("button", { name: "Make the invitation" }).click();
  await page.getByText("4 of 5 done").waitFor();
  await page.getByText("1 open invitation", { exact: false }).waitFor();
  await expectAccessible(page);
  await page.getByRole("button", { name: "Choose Pro" }).click();
  await page.waitForURL(/\/pay\/cs_test_/);
  await page.getByRole("button", { name: "Pay" }).click();
  await page.waitForURL("**/settings/plan?checkout=success");
  await page.getByText("Your plan is in force.", { exact: false }).waitFor();
  await expectAccessible(page);
  await page.getByRole("link", { name: "First hour" }).click();
  await page.getByText("5 of 5 done").waitFor({ timeout: 20_000 });
  expect(await page.getByText("free question", { exact: false }).count()).toBe(0);
  await page.getByText("Everything is set up.").waitFor();
  await expectAccessible(page);
  await page.getByRole("link", { name: "Open the inbox" }).click();
  await page.getByRole("link", { name: /^Awa/ }).waitFor();
  // The page of the fake Stripe has no icon.
  expect(problems.filter((problem) => !/4(22|04)/.test(problem))).toEqual([]);
  await context.close();
});

it("an owner who knows the way hides the first hour, and comes to the inbox from then on", async () => {
  const company = await createCompany();
  const { page, context, problems } = await visit({ size: "phone" });
  await signIn(page, company, "/start");
  await page.getByRole("button", { name: "Do not show this first any more" }).click();
  await page.waitForURL("**/inbox");
  await page.goto("/");
  await page.waitForURL("**/inbox");
  expect(problems).toEqual([]);
  await context.close();
});

it("an invitation's link says who invites to what, and makes a support user of the company, once", async () => {
  const company = await createCompany("Comptoir Baobab");
  await company.api("PATCH", "profiles/me", { full_name: "Awa Koné" });
  const { token } = await company.api<{ token: string }>("POST", "customers/me/invitations", { role: "support" });
  const { page, context, problems } = await visit({ size: "phone" });
  const addresses: string[] = [];
  page.on("request", (request) => addresses.push(request.url()));
  await page.goto(`/invitation#token=${token}`);
  await page.getByRole("heading", { name: "Join Comptoir Baobab" }).waitFor();
  expect(page.url()).not.toContain(token);
  for (const text of ["Awa Koné", "You read and answer conversations", "Whoever has this link", /^\d+ \w+ \d{4}.*, for one person$/]) {
    await page.getByText(text, { exact: false }).waitFor();
  }
  await expectAccessible(page);
  await page.getByLabel("Your name").fill("Binta Traoré");
  await page.getByLabel("E-mail address").fill(uniqueEmail("binta"));
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Join the company" }).click();
  await page.waitForURL("**/inbox");
  await page.getByRole("banner").getByText("Comptoir Baobab").waitFor();
  await page.getByRole("button", { name: "Menu" }).click();
  expect(await page.getByRole("link", { name: "First hour" }).count()).toBe(0);
  expect(addresses.filter((address) => new URL(address).hash === "" && address.includes(token))).toEqual([]);
  expect(problems).toEqual([]);
  await context.close();

  const late = await visit();
  await late.page.goto(`/invitation#token=${token}`);
  await late.page.getByRole("alert").getByText("This invitation was used already.").waitFor();
  expect(await late.page.getByLabel("Password").count()).toBe(0);
  expect(await late.page.getByText("Comptoir Baobab").count()).toBe(0);
  await expectAccessible(late.page);
  await late.context.close();
});

it("an invitation that expired, was taken back or does not exist says so before a sign-up", async () => {
  const company = await createCompany();
  const invite = () => company.api<{ id: string; token: string }>("POST", "customers/me/invitations", { role: "owner" });
  const [expired, revoked] = [await invite(), await invite()];
  await runSql("update invitations set expires_at = now() - interval '1 minute' where id = :'id'", { id: expired.id });
  await company.api("DELETE", `customers/me/invitations/${revoked.id}`);
  const { page, context } = await visit({ size: "phone", dark: true });
  for (const [code, text] of [
    [expired.token, "This invitation has expired."],
    [revoked.token, "The company has taken this invitation back."],
    ["inv_0", "There is no invitation with this code."],
  ] as const) {
    await page.goto("/invitation");
    await page.getByLabel("Code of the invitation").fill(code);
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("alert").getByText(text).waitFor();
    await expectAccessible(page);
    await page.getByRole("button", { name: "Enter another code" }).click();
    await page.getByLabel("Code of the invitation").waitFor();
  }
  await context.close();
});

it("an invitation for another address is refused with the address that it is for, and one that ends meanwhile says so", async () => {
  const company = await createCompany();
  const stranger = await createCompany();
  const addressed = await company.api<{ id: string; token: string }>("POST", "customers/me/invitations", { role: "support", email: "binta@example.com" });
  const { page, context } = await visit();
  await page.goto(`/invitation#token=${addressed.token}`);
  await page.getByText("The invitation is for b…@example.com.").waitFor();
  await page.getByLabel("E-mail address").fill(uniqueEmail("other"));
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Join the company" }).click();
  await page.getByRole("alert").getByText("The invitation is for b…@example.com only.", { exact: false }).waitFor();
  await expectAccessible(page);

  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByLabel("E-mail address").fill(stranger.email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in", exact: true }).first().click();
  await page.getByText(`You are signed in as ${stranger.email}`, { exact: false }).waitFor();
  await company.api("DELETE", `customers/me/invitations/${addressed.id}`);
  await page.getByRole("button", { name: "Join the company" }).click();
  await page.getByRole("alert").getByText("The company has taken this invitation back.").waitFor();
  await context.close();
});

it("a link for a new password sets it, ends the old sessions, and works once", async () => {
  const company = await createCompany();
  const support = await createSupportUser(company);
  const old = await visit();
  await signIn(old.page, support, "/inbox");
  await old.page.getByRole("heading", { name: "Inbox" }).waitFor();
  const members = await company.api<{ user_id: string; email: string }[]>("GET", "customers/me/members");
  const user = members.find(({ email }) => email === support.email)?.user_id ?? "";
  const { token } = await company.api<{ token: string }>("POST", `customers/me/members/${user}/password-reset`);
  const { page, context, problems } = await visit({ dark: true });
  await page.goto(`/password-reset#token=${token}`);
  await page.getByLabel("New password").fill("short");
  await page.getByRole("button", { name: "Set the password" }).click();
  await page.getByText("The password needs at least 10 characters.").waitFor();
  await expectAccessible(page);
  await page.getByLabel("New password").fill("another horse battery");
  await page.getByRole("button", { name: "Set the password" }).click();
  await page.getByText("The password is set.", { exact: false }).waitFor();
  await expectAccessible(page);
  await page.getByRole("link", { name: "Back to sign-in" }).click();
  await page.getByLabel("E-mail address").fill(support.email);
  await page.getByLabel("Password").fill("another horse battery");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL("**/inbox");
  expect(problems).toEqual([]);
  await page.goto(`/password-reset#token=${token}`);
  await page.getByLabel("New password").fill("a third horse battery");
  await page.getByRole("button", { name: "Set the password" }).click();
  await page.getByRole("alert").getByText("Request", { exact: false }).waitFor();
  await context.close();

  await old.page.reload();
  await old.page.waitForURL("**/sign-in*");
  await old.context.close();
});
