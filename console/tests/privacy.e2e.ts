/** Privacy by the interface: the archive, the retention, one contact, the end of an account and its return. */
import { expect, it } from "vitest";

import { contentOf, expectAccessible, useBrowser, visit } from "./browser";
import { createCompany, createSupportUser, signIn } from "./company";

useBrowser();

interface Listed {
  id: string;
  display_name: string | null;
}

it("the archive is made, found again, and downloaded", async () => {
  const company = await createCompany();
  const { page, context, problems } = await visit();
  await signIn(page, company, "/settings/privacy");
  await page.getByText("No export was requested yet.").waitFor();
  await page.getByRole("button", { name: "Delete the account" }).waitFor();
  await expectAccessible(page);
  await page.getByRole("button", { name: "Request an export" }).click();
  const link = page.getByRole("link", { name: "Download the archive" });
  await link.waitFor({ timeout: 20_000 });
  await page.getByText("The archive is deleted on", { exact: false }).waitFor();
  await page.getByText("This link works until", { exact: false }).waitFor();
  await expectAccessible(page);
  const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
  expect(download.suggestedFilename()).toMatch(/^lisa-export-.*\.zip$/);
  expect((await contentOf(download)).subarray(0, 4).toString("latin1")).toBe("PK\u0003\u0004");

  // Another browser of the company finds it, and what became of the one before.
  await page.getByRole("button", { name: "Request a new export" }).click();
  await page.getByText("Earlier exports").waitFor();
  // The page that stays open shows it, too, and offers no link to it any more.
  await page.getByRole("listitem").getByText("– deleted", { exact: false }).waitFor();
  expect(await page.getByRole("button", { name: "Make a new link" }).count()).toBe(0);
  const other = await visit({ size: "phone", dark: true });
  await signIn(other.page, company, "/settings/privacy");
  await other.page.getByRole("link", { name: "Download the archive" }).waitFor();
  await other.page.getByText("Earlier exports").waitFor();
  await other.page.getByRole("listitem").getByText("– deleted", { exact: false }).waitFor();
  await expectAccessible(other.page);
  await other.context.close();
  expect(problems).toEqual([]);
  await context.close();
});

it("a shorter retention is warned of and asked about, and wrong months are named", async () => {
  const company = await createCompany();
  const { page, context, problems } = await visit();
  await signIn(page, company, "/settings/privacy");
  const months = page.getByLabel("Months");
  await months.fill("61");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Enter a whole number of months between 1 and 60.").waitFor();
  await months.fill("24");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Not saved yet:").waitFor({ state: "detached" });
  const kept = async () => (await company.api<{ conversation_retention_months: number }>("GET", "customers/me")).conversation_retention_months;
  expect(await kept()).toBe(24);
  await months.fill("6");
  await page.getByText("nobody can bring them back", { exact: false }).waitFor();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("dialog").getByText("are deleted for good", { exact: false }).waitFor();
  await expectAccessible(page);
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  expect(await kept()).toBe(24);
  expect(await months.inputValue()).toBe("6");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Save and delete" }).click();
  await page.getByText("Not saved yet:").waitFor({ state: "detached" });
  expect(await kept()).toBe(6);
  expect(problems).toEqual([]);
  await context.close();
});

it("an owner exports and deletes a contact, and a colleague's inbox drops it", async () => {
  const company = await createCompany();
  const support = await createSupportUser(company);
  await company.receive({ id: 1, name: "Awa <b>Koné</b>" }, "Bonjour, où êtes-vous ?");
  const listed = () => company.api<Listed[]>("GET", "conversations");
  await expect.poll(async () => (await listed()).length, { timeout: 20_000, interval: 100 }).toBe(1);
  const id = (await listed())[0]?.id ?? "";

  const colleague = await visit();
  await signIn(colleague.page, support, `/inbox?conversation=${id}`);
  await colleague.page.getByRole("log").getByText("Bonjour, où êtes-vous ?").waitFor();
  expect(await colleague.page.getByRole("button", { name: "Actions for Awa <b>Koné</b>" }).count()).toBe(0);

  const { page, context, problems } = await visit();
  await signIn(page, company, `/inbox?conversation=${id}`);
  await page.getByRole("button", { name: "Actions for Awa <b>Koné</b>" }).click();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("menuitem", { name: "Export this contact" }).click()]);
  expect(download.suggestedFilename()).toBe(`contact-${id}.json`);
  const file = JSON.parse((await contentOf(download)).toString()) as { conversation: { id: string }; messages: { content: string }[] };
  expect(file.conversation.id).toBe(id);
  expect(file.messages[0]?.content).toBe("Bonjour, où êtes-vous ?");

  await page.getByRole("button", { name: "Actions for Awa <b>Koné</b>" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("menuitem", { name: "Delete this contact" }).waitFor();
  await expectAccessible(page);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByText("the conversation with Awa <b>Koné</b>", { exact: false }).waitFor();
  await expectAccessible(page);
  await page.getByRole("dialog").getByRole("button", { name: "Delete this contact" }).click();
  await page.getByText("The contact is deleted.").waitFor();
  await page.getByText("No conversation yet").waitFor();
  expect(await listed()).toEqual([]);

  await colleague.page.getByText("There is nothing here").waitFor({ timeout: 5_000 });
  await colleague.page.getByText("No conversation yet").waitFor();
  expect(await colleague.page.getByText("Bonjour, où êtes-vous ?").count()).toBe(0);
  await colleague.context.close();
  expect(problems).toEqual([]);
  await context.close();
});

it("a deleted account shows its restoration only, to all who are signed in, and comes back", async () => {
  const company = await createCompany("Épicerie <b>Zoé</b>");
  const support = await createSupportUser(company);
  const colleague = await visit({ size: "phone", dark: true });
  await signIn(colleague.page, support, "/inbox");
  await colleague.page.getByText("No conversation yet").waitFor();
  const { page, context } = await visit();
  await signIn(page, company, "/settings/privacy");
  await page.getByRole("button", { name: "Delete the account" }).click();
  const dialog = page.getByRole("dialog");
  const confirm = dialog.getByRole("button", { name: "Delete the account" });
  expect(await confirm.isDisabled()).toBe(true);
  await dialog.getByText(/^Until .*, \d\d:\d\d \S+ an owner can restore everything/).waitFor();
  await dialog.getByLabel("Type the name of the company", { exact: false }).fill("Épicerie Zoé");
  expect(await confirm.isDisabled()).toBe(true);
  await expectAccessible(page);
  await dialog.getByLabel("Type the name of the company", { exact: false }).fill("Épicerie <b>Zoé</b>");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "This company was deleted" }).waitFor();
  expect(await page.getByRole("navigation").count()).toBe(0);
  const lastDay = new Date(Date.now() + 30 * 86_400_000).getUTCFullYear();
  const until = new RegExp(`^Until .*${lastDay}, \\d\\d:\\d\\d UTC everything can be restored`);
  await page.getByText(until).waitFor();
  await page.getByText(/^It was deleted on /).waitFor();
  await expectAccessible(page);
  await colleague.page.getByText(until).waitFor();
  await colleague.page.getByText("Only an owner can restore it.", { exact: false }).waitFor({ timeout: 5_000 });
  await expectAccessible(colleague.page);

  // Also after a sign-in, on any address.
  const later = await visit({ size: "phone" });
  await later.page.route("**/api/v1/privacy/account", (route) =>
    route.fulfill({ status: 500, json: { success: false, error: { code: "internal", message: "internal", request_id: "req-500" } } }),
  );
  await signIn(later.page, company, "/orders");
  await later.page.getByRole("alert").getByText("The server made a mistake. It was recorded.").waitFor();
  expect(await later.page.getByRole("button", { name: "Restore everything" }).isEnabled()).toBe(true);
  await expectAccessible(later.page);
  await later.page.unrouteAll();
  await later.page.getByRole("button", { name: "Try again" }).click();
  await later.page.getByText(until).waitFor();
  await later.page.getByRole("button", { name: "Restore everything" }).click();
  await later.page.getByText("Everything is there again.").waitFor();
  await later.page.getByRole("heading", { level: 1, name: "Orders" }).waitFor();
  expect(await company.api("GET", "context")).toMatchObject({ tenant: { name: "Épicerie <b>Zoé</b>" } });
  await later.context.close();
  await page.reload();
  await page.getByRole("heading", { level: 1, name: "Privacy" }).waitFor();
  await colleague.context.close();
  await context.close();
});

it("a support user deletes the own account, and cannot sign in any more", async () => {
  const company = await createCompany();
  const support = await createSupportUser(company);
  const { page, context } = await visit({ size: "phone" });
  await signIn(page, support, "/settings/privacy");
  await page.getByRole("heading", { level: 1, name: "Privacy" }).waitFor();
  expect(await page.getByText("Export of everything").count()).toBe(0);
  await expectAccessible(page);
  await page.getByRole("button", { name: "Delete my account" }).click();
  await page.getByRole("dialog").getByLabel("Type your e-mail address", { exact: false }).fill(support.email);
  await page.getByRole("dialog").getByRole("button", { name: "Delete my account" }).click();
  await page.waitForURL("**/sign-in*");
  await page.getByText("Your account is deleted.").waitFor();
  await page.locator('input[type="email"]').fill(support.email);
  await page.locator('input[type="password"]').fill(support.password);
  await page.locator('button[type="submit"]').click();
  await page.getByText("The address or the password is wrong.").waitFor();
  expect(await company.api<unknown[]>("GET", "customers/me/members")).toHaveLength(1);
  await context.close();
});
