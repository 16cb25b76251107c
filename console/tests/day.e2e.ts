/** A support user's day on a phone, by the interface alone: who waits, an answer from a document, an order, and the end. */
import { expect, it } from "vitest";

import { expectAccessible, useBrowser, visit } from "./browser";
import { createCompany, createSupportUser, handOver, repositoryFile } from "./company";

useBrowser();

it("a support user signs in, answers who waits from a document, takes an order, gives back and signs out", async () => {
  const company = await createCompany("Boutique Akwaba");
  await company.api("PATCH", "customers/me", { currency: "XOF" });
  await company.upload("guide-livraison.pdf", repositoryFile("docs/samples/guide-livraison.pdf"));
  await handOver(company, 1, "Awa Koné");
  const support = await createSupportUser(company);
  const { page, context, problems } = await visit({ size: "phone" });
  const open = async (name: string) => {
    await page.getByRole("button", { name: /^Menu/ }).click();
    await page.getByRole("dialog", { name: "Menu" }).getByRole("link", { name }).click();
  };

  await page.goto("/");
  await page.getByLabel("E-mail address").fill(support.email);
  await page.getByLabel("Password").fill(support.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL("**/inbox");
  // The number of waiting conversations is visible without opening the menu.
  await page.getByRole("button", { name: "Menu – 1 conversation waits" }).waitFor();
  await page.getByRole("navigation", { name: "Show" }).getByRole("link", { name: "Waiting" }).click();
  await page.getByRole("link", { name: /^Awa Koné/ }).click();
  await page.getByText("The customer asked for a person.", { exact: false }).waitFor();
  await page.getByRole("button", { name: "Take over" }).click();
  await page.getByText("You have it").first().waitFor();
  await expectAccessible(page);

  // The playground answers the customer's question from the documents.
  await open("Playground");
  await page.getByRole("textbox", { name: "Question" }).fill("Combien coûte la livraison à Abidjan ?");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByRole("link", { name: /guide-livraison\.pdf, p\. 1/ }).first().waitFor();
  await expectAccessible(page);

  await open("Inbox");
  await page.getByRole("link", { name: /^Awa Koné/ }).click();
  await page.getByRole("textbox", { name: "Your answer" }).fill("La livraison coûte 1 500 F. Je note votre commande.");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByRole("log").getByText("Je note votre commande.", { exact: false }).waitFor();
  await page.getByRole("button", { name: "Menu", exact: true }).waitFor();

  await open("Orders");
  await page.getByRole("link", { name: "New order" }).click();
  await page.getByLabel("Name of the customer").fill("Awa Koné");
  await page.getByLabel("Product or name").fill("Pagne wax");
  await page.getByLabel("Unit price").fill("12 500");
  await page.getByRole("button", { name: "Create the order" }).click();
  await page.getByRole("button", { name: "Confirm the order" }).click();
  await page.getByText("The order is confirmed.").waitFor();
  await expectAccessible(page);

  await open("Inbox");
  await page.getByRole("link", { name: /^Awa Koné/ }).click();
  await page.getByRole("button", { name: "Give back" }).click();
  await page.getByText("The assistant answers", { exact: true }).first().waitFor();
  await page.getByRole("button", { name: /^Menu/ }).click();
  await page.getByRole("button", { name: /^Account/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.waitForURL("**/sign-in*");
  await page.goBack();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  expect(problems).toEqual([]);
  await context.close();
});
