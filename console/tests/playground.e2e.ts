/** The playground by the interface: a streamed answer with its source, and a draft of a prompt beside the one in force. */
import type { Page } from "playwright-core";
import { expect, it } from "vitest";

import { expectAccessible, useBrowser, visit } from "./browser";
import { createCompany, createSupportUser, repositoryFile, signIn } from "./company";

useBrowser();

const QUESTION = "Combien coûte la livraison à Abidjan ?";

it("a question is answered with its source, one without an answer gets the owner's, and the source opens the page of the PDF", async () => {
  const company = await createCompany();
  const { page, context, problems } = await visit({ size: "phone" });
  await signIn(page, company, "/playground");
  await page.getByText("There is no document to answer from yet.", { exact: false }).waitFor();
  const id = await company.upload("guide-livraison.pdf", repositoryFile("docs/samples/guide-livraison.pdf"));
  await page.getByText("Ask something that your documents hold.", { exact: false }).waitFor();
  await page.getByRole("textbox", { name: "Question" }).fill(QUESTION);
  await page.keyboard.press("Enter");
  await page.getByText(/^\d+(\.\d)? s, first word after/).waitFor();
  await page.getByText("costs one question").waitFor();
  await page.getByRole("link", { name: /guide-livraison\.pdf, p\. 1/ }).first().waitFor();
  await expectAccessible(page);

  await page.getByRole("textbox", { name: "Question" }).fill("Zéphyr xylophone ?");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByText("Not in the documents").waitFor();
  await page.getByRole("button", { name: "Answer it next time" }).click();
  const dialog = page.getByRole("dialog", { name: "Answer it next time" });
  expect(await dialog.getByLabel("Question", { exact: true }).inputValue()).toBe("Zéphyr xylophone ?");
  await dialog.getByRole("button", { name: "Take a passage of a document" }).click();
  await dialog.getByRole("button", { name: /^Use this/ }).first().waitFor();
  await dialog.getByLabel("Answer", { exact: true }).fill("Oui, en bois.");
  await expectAccessible(page);
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByText("Approved: this question gets your answer from now on.").waitFor();
  await page.getByRole("button", { name: "Ask again" }).click();
  const reply = page.getByRole("listitem").filter({ hasText: "Oui, en bois." });
  await reply.getByText("Approved answer", { exact: true }).waitFor();
  await expectAccessible(page);
  // A long conversation: the new reply is in view by itself.
  await expect.poll(async () => isInView(page, await reply.getByRole("button", { name: "Correct this answer" }).boundingBox())).toBe(true);
  await reply.getByRole("button", { name: "Correct this answer" }).click();
  const change = page.getByRole("dialog", { name: "Correct this answer" });
  expect(await change.getByLabel("Answer", { exact: true }).inputValue()).toBe("Oui, en bois.");
  await change.getByLabel("Answer", { exact: true }).fill("Oui, en métal.");
  await change.getByRole("button", { name: "Save" }).click();
  await change.waitFor({ state: "detached" });
  const stored = await company.api<{ question: string; answer: string }[]>("GET", "approved-answers");
  expect(stored.map(({ question, answer }) => [question, answer])).toEqual([["Zéphyr xylophone ?", "Oui, en métal."]]);
  expect(await company.api("GET", "unanswered-questions")).toEqual([]);

  await page.getByRole("link", { name: /guide-livraison\.pdf, p\. 1/ }).first().click();
  await page.waitForURL(`**/documents/${id}*`);
  expect(problems).toEqual([]);
  await context.close();
});

const isInView = (page: Page, box: { y: number; height: number } | null) =>
  box !== null && box.y >= 0 && box.y + box.height <= (page.viewportSize()?.height ?? 0);

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
  await page.unroute("**/api/v1/query/stream");
  await page.getByRole("textbox", { name: "Question" }).fill("Bonjour !");
  await page.keyboard.press("Enter");
  await page.getByText("Courtesy, no answer").waitFor();
  await page.getByRole("textbox", { name: "Question" }).fill("Zéphyr xylophone ?");
  await page.keyboard.press("Enter");
  await page.getByText("Not in the documents").waitFor();
  expect(await page.getByRole("button", { name: /Answer it next time|Correct this answer/ }).count()).toBe(0);
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
