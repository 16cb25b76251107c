/** The settings by the interface: kept drafts, the way back, the team, ManyChat, the plan, the own account. */
import { expect, it } from "vitest";

import { expectAccessible, uniqueEmail, useBrowser, visit } from "./browser";
import { createCompany, createSupportUser, PASSWORD, signIn } from "./company";

useBrowser();

const SECTIONS = [
  "Assistant",
  "Sentences",
  "Instructions",
  "Opening times",
  "Changes",
  "Company",
  "Team",
  "WhatsApp (ManyChat)",
  "Outgoing webhooks",
  "Audit log",
  "Plan",
  "Usage",
  "Invoices",
  "Privacy",
  "Your profile",
];

const LOOKS = [
  ["at a desk", { size: "desk" }],
  ["on a phone, in the dark", { size: "phone", dark: true }],
] as const;

it.each(LOOKS)("each section is accessible %s", async (_, look) => {
  const company = await createCompany("Épicerie <b>Zoé</b> مرحبا");
  await company.api("PATCH", "companies/me/config", {
    prompt_rag: "Sois bref. ".repeat(900),
    business_hours: { mon: [["08:00", "12:00"], ["20:00", "02:00"]] },
  });
  const { page, context, problems } = await visit(look);
  await signIn(page, company, "/settings");
  await page.waitForURL("**/settings/bot");
  for (const section of SECTIONS) {
    await page.getByRole("navigation", { name: "Settings" }).getByRole("link", { name: section, exact: true }).click();
    await page.getByRole("heading", { level: 1, name: section }).waitFor();
    await expect.poll(() => page.locator('[data-state="loading"]').count()).toBe(0);
    await expectAccessible(page);
  }
  expect(problems).toEqual([]);
  await context.close();
});

it("unsaved changes outlive a reload, name a conflict, and can be undone after saving", async () => {
  const company = await createCompany();
  const { page, context, problems } = await visit();
  await signIn(page, company, "/settings/bot");
  const name = page.getByLabel("Name of the assistant");
  await name.fill("Ayo <i>");
  await page.getByLabel("Words that call a person").fill("patron\n\nchef");
  await page.getByText("Not saved yet:").waitFor();
  await page.getByRole("link", { name: "Assistant unsaved changes" }).waitFor();
  await expectAccessible(page);

  await company.api("PATCH", "companies/me/config", { ai_name: "Zoé", handover_minutes: 30 });
  await page.reload();
  await page.getByText("Changed by somebody else meanwhile: Name of the assistant.", { exact: false }).waitFor();
  expect(await name.inputValue()).toBe("Ayo <i>");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved.").waitFor();
  await page.getByText("Not saved yet:").waitFor({ state: "detached" });
  const config = () => company.api<Record<string, unknown>>("GET", "companies/me/config");
  expect(await config()).toMatchObject({ ai_name: "Ayo <i>", handover_keywords: ["patron", "chef"], handover_minutes: 30 });

  await page.getByRole("link", { name: "Changes" }).click();
  const latest = page.getByRole("listitem").filter({ hasText: "Words that call a person" });
  await latest.getByRole("link", { name: "What differs" }).click();
  await page.waitForURL(/version=\d+/);
  await latest.locator("ins").filter({ hasText: "patron" }).waitFor();
  await expectAccessible(page);
  await latest.getByRole("button", { name: "Undo" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Undo" }).click();
  await page.getByText("The assistant is as it was before.").waitFor();
  expect(await config()).toMatchObject({ ai_name: "Zoé", handover_keywords: [], handover_minutes: 30 });
  expect(problems).toEqual([]);
  await context.close();
});

it("sentences, opening times and the mode are saved as they are shown", async () => {
  const company = await createCompany();
  const { page, context, problems } = await visit();
  await signIn(page, company, "/settings/hours");
  await page.getByRole("switch", { name: "We have opening times" }).click();
  await page.getByRole("button", { name: "Add times: Monday" }).click();
  await page.getByLabel("Monday, to, 1").fill("00:00");
  await page.getByRole("group", { name: "Copy Monday’s times to" }).getByRole("button", { name: "Tuesday to Saturday" }).click();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Not saved yet:").waitFor({ state: "detached" });
  const span = [["08:00", "24:00"]];
  expect(await company.api("GET", "companies/me/config")).toMatchObject({
    business_hours: { mon: span, tue: span, wed: span, thu: span, fri: span, sat: span },
  });

  await page.getByRole("link", { name: "Sentences" }).click();
  const french = page.getByLabel("Français").first();
  await french.fill("Akwaba !");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Not saved yet:").waitFor({ state: "detached" });
  const greeting = async () => (await company.api<{ greeting: { fr: string } }>("GET", "customers/me")).greeting.fr;
  expect(await greeting()).toBe("Akwaba !");
  await french.fill("");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Not saved yet:").waitFor({ state: "detached" });
  expect(await greeting()).toContain("Comptoir Baobab");
  expect(await french.inputValue()).toBe(await greeting());

  await page.getByRole("link", { name: "Assistant" }).click();
  await page.getByRole("button", { name: "Sell, too (LIVE)" }).click();
  await page.getByText("The mode is changed.").waitFor();
  await page.getByText("takes no orders.", { exact: false }).waitFor();
  expect(await company.api("GET", "context")).toMatchObject({ mode: "live" });
  expect(problems).toEqual([]);
  await context.close();
});

it("an invitation's link is shown once and leads a colleague in, who sees the own profile only, and is removed", async () => {
  const company = await createCompany();
  const { page, context, problems } = await visit();
  await signIn(page, company, "/settings/team");
  await page.getByRole("button", { name: "Invite somebody" }).click();
  await page.getByRole("button", { name: "Create the link" }).click();
  const link = await page.getByRole("dialog").locator("code").innerText();
  await expectAccessible(page);
  await page.getByRole("button", { name: "I have copied it" }).click();
  await page.getByText("Whoever has the link").waitFor();

  const colleague = await visit({ size: "phone" });
  const email = uniqueEmail("colleague");
  await colleague.page.goto(new URL(link).pathname + new URL(link).hash);
  await colleague.page.getByLabel("E-mail address").fill(email);
  await colleague.page.getByLabel("Password").fill(PASSWORD);
  await colleague.page.getByRole("button", { name: "Join the company" }).click();
  await colleague.page.waitForURL((url) => !url.pathname.startsWith("/invitation"));
  await colleague.page.goto("/settings/team");
  await colleague.page.getByText("Only owners see this").waitFor();
  await expectAccessible(colleague.page);
  await colleague.page.goto("/settings");
  await colleague.page.getByRole("heading", { name: "Your profile" }).waitFor();
  await colleague.context.close();

  await page.reload();
  await page.getByRole("button", { name: `Actions for ${email}` }).click();
  await page.getByRole("menuitem", { name: "Link for a new password" }).click();
  expect(await page.getByRole("dialog").locator("code").innerText()).toContain("/password-reset#token=");
  await page.getByRole("button", { name: "I have copied it" }).click();
  await page.getByRole("button", { name: `Actions for ${email}` }).click();
  await page.getByRole("menuitem", { name: "Remove" }).click();
  await page.getByRole("dialog").getByText(email, { exact: false }).waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await page.getByText("The member is removed.").waitFor();
  expect(await company.api<unknown[]>("GET", "customers/me/members")).toHaveLength(1);
  expect(problems).toEqual([]);
  await context.close();
});

it("the ownership is handed over, and the former owner loses the settings", async () => {
  const company = await createCompany();
  const heir = await createSupportUser(company);
  const { page, context } = await visit();
  await signIn(page, company, "/settings/team");
  await page.getByRole("button", { name: `Actions for ${heir.email}` }).click();
  await page.getByRole("menuitem", { name: "Hand the ownership over" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Hand the ownership over" }).click();
  await page.getByText("Only owners see this").waitFor();
  const members = await heir.api<{ email: string; is_account_owner: boolean }[]>("GET", "customers/me/members");
  expect(members.find((member) => member.is_account_owner)?.email).toBe(heir.email);
  await context.close();
});

it("ManyChat: a wrong key is refused beside its field, the secret is shown once and replaced", async () => {
  const company = await createCompany();
  const { page, context } = await visit();
  await signIn(page, company, "/settings/manychat");
  await page.getByText("Stored key:").waitFor();
  await page.getByText(/^••••\S{4}$/).waitFor();
  await page.getByLabel("Another key").fill("1234567:no-such-key");
  await page.getByRole("button", { name: "Try and store" }).click();
  await page.getByText("ManyChat does not take this key.", { exact: false }).waitFor();
  await expectAccessible(page);
  await page.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await page.getByText("The key is removed.").waitFor();
  expect(await company.api("GET", "customers/me")).toMatchObject({ manychat_api_key: null });

  await page.getByRole("button", { name: "Replace the secret" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Replace the secret" }).click();
  const secret = page.getByRole("dialog").locator("code");
  expect(await secret.innerText()).toMatch(/^whs_/);
  await page.getByRole("button", { name: "I have copied it" }).click();
  await expect.poll(() => secret.count()).toBe(0);
  await context.close();
});

it("a plan leads to Stripe's page, and a new password to the sign-in page", async () => {
  const company = await createCompany();
  const { page, context } = await visit();
  await signIn(page, company, "/settings/plan");
  await page.getByRole("button", { name: "Choose Pro" }).click();
  await page.waitForURL(/\/pay\/cs_test_/);
  await page.goto("/settings/plan?checkout=cancelled");
  await page.getByText("Nothing was paid.", { exact: false }).waitFor();
  await page.getByRole("button", { name: "Choose Pro" }).waitFor();

  await page.goto("/settings/profile");
  await page.getByLabel("Your name").fill("Awa <script>");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Not saved yet:").waitFor({ state: "detached" });
  expect(await company.api("GET", "profiles/me")).toMatchObject({ full_name: "Awa <script>" });
  await page.getByLabel("Current password").fill("wrong password");
  await page.getByLabel("New password").fill("a better password");
  await page.getByRole("button", { name: "Change the password" }).click();
  await page.getByText("This is not your current password.").waitFor();
  await page.getByLabel("Current password").fill(PASSWORD);
  await page.getByRole("button", { name: "Change the password" }).click();
  await page.waitForURL("**/sign-in*");
  await page.locator('input[type="email"]').fill(company.email);
  await page.locator('input[type="password"]').fill("a better password");
  await page.locator('button[type="submit"]').click();
  await page.getByRole("heading", { name: "Your profile" }).waitFor();
  await context.close();
});
