/** The administrators' pages: they find a company, suspend it, and help somebody whose password is lost. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

import { expect, inject, it } from "vitest";

import { expectAccessible, useBrowser, visit } from "./browser";
import { type Account, createCompany, signIn } from "./company";

useBrowser();

/** Gives an account the role, as whoever runs the installation does. */
async function makeAdministrator({ email }: Account): Promise<void> {
  const program = process.env["LISA_BIN"] ?? "cargo";
  const args = ["admin", "--demo", join(inject("data"), "demo.json"), "grant", email];
  await promisify(execFile)(program, args, { cwd: join(import.meta.dirname, "../..") });
}

it("an administrator finds a company by its owner, suspends it and lets it work again", async () => {
  const company = await createCompany("Boulangerie <img src=x>");
  const admin = await createCompany("Operator");
  await makeAdministrator(admin);
  const { page, context, problems } = await visit();
  await signIn(page, admin, "/admin");
  await page.waitForURL("**/admin/companies");
  await page.getByRole("searchbox").fill(company.email);
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.searchParams.get("search") === company.email);
  await page.getByText("1 company").waitFor();
  await expectAccessible(page);
  await page.getByRole("link", { name: company.name }).click();
  await page.getByRole("heading", { level: 1, name: company.name }).waitFor();
  await expectAccessible(page);

  await page.getByRole("button", { name: "Suspend" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Suspend" }).click();
  await page.getByText("Suspended since", { exact: false }).waitFor();
  await expect(company.api("GET", "context")).rejects.toThrow("tenant_suspended");
  await page.getByRole("button", { name: "End the suspension" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End the suspension" }).click();
  await page.getByText("Suspended since", { exact: false }).waitFor({ state: "detached" });
  await company.api("GET", "context");
  expect(problems).toEqual([]);
  await context.close();
});

it("a link for a new password is shown once, and the other pages say what is not there", async () => {
  const company = await createCompany();
  const admin = await createCompany("Operator");
  await makeAdministrator(admin);
  const { page, context, problems } = await visit({ size: "phone", dark: true });
  await signIn(page, admin, "/admin/password-reset");
  await page.getByRole("heading", { name: "Password reset" }).waitFor();
  await page.getByLabel("E-mail address").fill(company.email);
  await page.getByRole("button", { name: "Create the link" }).click();
  expect(await page.getByRole("dialog").locator("code").innerText()).toContain("/password-reset#token=");
  await expectAccessible(page);
  await page.getByRole("button", { name: "I have copied it" }).click();
  await page.getByRole("link", { name: "Nobody’s subscriptions" }).click();
  await page.getByText("No subscription is without a user").waitFor();
  await expectAccessible(page);
  await page.getByRole("link", { name: "Plans" }).click();
  await page.getByText("29", { exact: false }).first().waitFor();
  await expectAccessible(page);
  await page.goto("/admin/companies?search=no-such-company-anywhere");
  await page.getByText("No company matches").waitFor();
  await expectAccessible(page);
  expect(problems).toEqual([]);
  await context.close();
});

it("an owner who is no administrator is told so", async () => {
  const company = await createCompany();
  const { page, context } = await visit();
  await signIn(page, company, "/admin/companies");
  await page.getByText("You may not see this").or(page.getByText("This is for administrators")).first().waitFor();
  await expectAccessible(page);
  await context.close();
});
