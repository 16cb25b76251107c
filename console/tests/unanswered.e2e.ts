/** Unanswered questions by the interface: why, an answer by hand and from a passage, and the list of approved answers. */
import { expect, it } from "vitest";

import { contentOf, expectAccessible, useBrowser, visit } from "./browser";
import { type Company, createCompany, createSupportUser, signIn } from "./company";

useBrowser();

const ask = (company: Company, question: string) => company.api<{ answered: boolean }>("POST", "query", { question });

it("an owner finds why a question was not answered, approves an answer, and it is given next time", async () => {
  const company = await createCompany();
  await company.upload("retours.txt", "Les retours sont gratuits pendant 14 jours.");
  expect((await ask(company, "Vendez-vous des trampolines <b>géants</b> ?")).answered).toBe(false);
  expect((await ask(company, "Bonjour, vendez vous des trampolines <b>geants</b>")).answered).toBe(false);
  const { page, context, problems } = await visit();
  await signIn(page, company, "/unanswered");
  await page.getByText("asked 2 times").waitFor();
  await page.getByText("No passage of your documents holds the answer.").waitFor();
  await expectAccessible(page);
  await page.getByRole("link", { name: /^Answer it/ }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("Why was it not answered?").waitFor();
  await dialog.getByRole("button", { name: "Look in today’s documents" }).click();
  await dialog.getByText("Your documents still do not hold the answer.").waitFor();
  await dialog.getByRole("button", { name: "Approve the answer" }).click();
  await dialog.getByText("Write the answer.").waitFor();
  await dialog.getByLabel("Answer", { exact: true }).fill("Oui, de 3 à 5 mètres.");
  await expectAccessible(page);

  // A reload keeps the question, by the address, and what was written.
  await page.reload();
  expect(await dialog.getByLabel("Answer", { exact: true }).inputValue()).toBe("Oui, de 3 à 5 mètres.");
  await dialog.getByRole("button", { name: "Approve the answer" }).click();
  await page.getByText("1 other question with these words were closed").waitFor();
  await page.getByText("Every question was answered").waitFor();

  const again = await company.api<{ answer: string; model: string }>("POST", "query", { question: "Vendez-vous des trampolines <b>géants</b> ?" });
  expect([again.model, again.answer]).toEqual(["approved-answer", "Oui, de 3 à 5 mètres."]);
  expect((await company.api<{ question: string }[]>("GET", "golden-questions")).map(({ question }) => question)).toHaveLength(1);
  expect(problems).toEqual([]);
  await context.close();
});

it("a passage of a document becomes the answer, on a phone", async () => {
  const company = await createCompany();
  await company.upload("retours.txt", "Les retours sont gratuits pendant 14 jours.");
  await ask(company, "Zéphyr xylophone ?");
  const { page, context, problems } = await visit({ size: "phone", dark: true });
  await signIn(page, company, "/unanswered");
  await page.getByRole("link", { name: /^Answer it/ }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Take a passage of a document" }).click();
  await dialog.getByRole("button", { name: /^Use this: .*retours sont gratuits/ }).click();
  expect(await dialog.getByLabel("Answer", { exact: true }).inputValue()).toContain("Les retours sont gratuits");
  await expectAccessible(page);
  await dialog.getByRole("button", { name: "Approve the answer" }).click();
  await page.getByText("Every question was answered").waitFor();
  expect(problems).toEqual([]);
  await context.close();
});

it("approved answers are written, changed, exported, imported and deleted", async () => {
  const company = await createCompany();
  const { page, context, problems } = await visit();
  await signIn(page, company, "/unanswered?tab=answers");
  await page.getByText("No approved answers yet").waitFor();
  await page.getByRole("button", { name: "New answer" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Question", { exact: true }).fill("Livrez-vous au Togo ?");
  await dialog.getByLabel("Answer", { exact: true }).fill("Oui, en trois jours.");
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByText("Oui, en trois jours.").waitFor();
  await page.getByRole("button", { name: "Edit: Livrez-vous au Togo ?" }).click();
  await dialog.getByLabel("Answer", { exact: true }).fill("Oui, en deux jours.");
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByText("Oui, en deux jours.").waitFor();

  const saving = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export" }).click();
  const exported = (await contentOf(await saving)).toString();
  expect(exported).toContain("Livrez-vous au Togo ?,");

  await page.getByRole("button", { name: "Import" }).click();
  const choose = (content: string) =>
    dialog.getByLabel("CSV file").setInputFiles({ name: "answers.csv", mimeType: "text/csv", buffer: Buffer.from(content) });
  const run = dialog.getByRole("button", { name: "Import", exact: true });
  await choose("question,answer\nOuvert le dimanche ?,Non.\nSans réponse ?,\n");
  await run.click();
  await dialog.getByText("Line 3", { exact: false }).waitFor();
  await expectAccessible(page);
  await choose("question,answer\nOuvert le dimanche ?,Non.\nLivrez-vous au Togo ?,Oui.\n");
  await run.click();
  await dialog.getByText("1 added, 1 changed, 0 as before.").waitFor();
  await dialog.getByRole("button", { name: "Close" }).last().click();

  await page.getByRole("button", { name: "Delete: Ouvert le dimanche ?" }).click();
  await dialog.getByText("Ouvert le dimanche ?").waitFor();
  await dialog.getByRole("button", { name: "Delete" }).click();
  await page.getByText("1 approved answer", { exact: true }).waitFor();
  await expectAccessible(page);
  expect(problems.filter((problem) => !problem.includes("422"))).toEqual([]);
  await context.close();
});

it("a support user reads the questions, and sees who answers them", async () => {
  const company = await createCompany();
  const support = await createSupportUser(company);
  await company.upload("retours.txt", "Les retours sont gratuits pendant 14 jours.");
  await ask(company, "Zéphyr xylophone ?");
  const { page, context, problems } = await visit();
  await signIn(page, support, "/unanswered");
  await page.getByText("The owner of the company approves answers.").waitFor();
  await page.getByText("Zéphyr xylophone ?").waitFor();
  expect(await page.getByRole("link", { name: /^Answer it/ }).count()).toBe(0);
  await expectAccessible(page);
  expect(problems).toEqual([]);
  await context.close();
});
