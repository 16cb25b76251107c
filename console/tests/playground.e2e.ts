/** The playground by the interface: a streamed answer with its source, and a draft of a prompt beside the one in force. */
import { expect, it } from "vitest";

import { expectAccessible, useBrowser, visit } from "./browser";
import { createCompany, createSupportUser, repositoryFile, signIn } from "./company";

useBrowser();

const QUESTION = "Combien coûte la livraison à Abidjan ?";

it("a question is answered with its source, and the source opens the page of the PDF", async () => {
  const company = await createCompany();
  const id = await company.upload("guide-livraison.pdf", repositoryFile("docs/samples/guide-livraison.pdf"));
  const { page, context, problems } = await visit({ size: "phone" });
  await signIn(page, company, "/playground");
  await page.getByRole("textbox", { name: "Question" }).fill(QUESTION);
  await page.keyboard.press("Enter");
  await page.getByText(/^\d+(\.\d)? s, first word after/).waitFor();
  await page.getByText("costs one question").waitFor();
  await page.getByRole("link", { name: /guide-livraison\.pdf, p\. 1/ }).first().waitFor();
  await expectAccessible(page);

  await page.getByRole("textbox", { name: "Question" }).fill("Zéphyr xylophone ?");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByRole("button", { name: "Answer it from now on" }).waitFor();
  await page.getByRole("link", { name: /guide-livraison\.pdf, p\. 1/ }).first().click();
  await page.waitForURL(`**/documents/${id}*`);
  expect(problems).toEqual([]);
  await context.close();
});

it("a stream that breaks off says so, and keeps what arrived", async () => {
  const company = await createCompany();
  const support = await createSupportUser(company);
  const { page, context } = await visit();
  await signIn(page, support, "/playground");
  await page.route("**/api/v1/query/stream", (route) =>
    route.fulfill({ contentType: "text/event-stream", body: 'event: citations\ndata: {"citations":[]}\n\nevent: delta\ndata: {"text":"<b>Half</b> an answer"}\n\n' }),
  );
  await page.getByRole("textbox", { name: "Question" }).fill(QUESTION);
  await page.keyboard.press("Enter");
  await page.getByText("<b>Half</b> an answer").waitFor();
  await page.getByText("The server was not reached.", { exact: false }).waitFor();
  expect(await page.getByRole("tab").count()).toBe(0);
  await expectAccessible(page);
  await context.close();
});

it("a draft is tried beside the prompt in force, with golden questions, and put into force", async () => {
  const company = await createCompany();
  const id = await company.upload("guide-livraison.pdf", repositoryFile("docs/samples/guide-livraison.pdf"));
  await company.api("POST", "golden-questions", { question: QUESTION, document_id: id, page: 1 });
  const { page, context, problems } = await visit({ dark: true });
  await signIn(page, company, "/playground?tab=prompts");
  await page.getByLabel("Draft").fill("Tutoie les clients.");
  await page.reload();
  await page.getByLabel("Draft").waitFor();
  expect(await page.getByLabel("Draft").inputValue()).toBe("Tutoie les clients.");
  await page.getByRole("textbox", { name: "Question" }).fill(QUESTION);
  await page.getByRole("button", { name: "Ask both" }).click();
  await page.getByRole("region", { name: "In force" }).getByText("1 500").first().waitFor();
  await page.getByRole("region", { name: "Draft" }).getByText("1 500").first().waitFor();
  await page.getByRole("button", { name: "Run against both" }).click();
  await page.getByText("The draft breaks nothing: 1 of 1 pass.").waitFor();
  await expectAccessible(page);
  await page.getByRole("button", { name: "Put the draft into force" }).click();
  await page.getByText("The draft is in force.").waitFor();
  expect((await company.api<{ prompt_rag: string }>("GET", "companies/me/config")).prompt_rag).toBe("Tutoie les clients.");
  await page.getByRole("tab", { name: "Golden questions" }).click();
  await page.getByText("expects this document, page 1").waitFor();
  await expectAccessible(page);
  expect(problems).toEqual([]);
  await context.close();
});
