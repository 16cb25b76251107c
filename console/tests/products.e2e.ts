/** The catalogue by the interface: add, offer, edit, archive, delete, and import a spreadsheet. */
import type { Page } from "playwright-core";
import { expect, it } from "vitest";

import { contentOf, expectAccessible, useBrowser, visit } from "./browser";
import { createCompany, createSupportUser, signIn } from "./company";

useBrowser();

async function choose(page: Page, name: string, content: string | Uint8Array) {
  await page.locator('input[type="file"]').setInputFiles({ name, mimeType: "text/csv", buffer: Buffer.from(content) });
}

it("an owner adds a product, stops offering it, archives it and brings it back; support users see none of it", async () => {
  const company = await createCompany();
  await company.api("PATCH", "customers/me", { currency: "EUR" });
  await company.api("POST", "products", { name: "Thé vert", price: "5" });
  const { page, context, problems } = await visit();
  await signIn(page, company, "/products");
  await page.getByRole("link", { name: "New product" }).click();
  const dialog = page.getByRole("dialog", { name: "New product" });
  await expect.poll(() => dialog.getByLabel("Name").evaluate((input) => input === document.activeElement)).toBe(true);
  await dialog.getByLabel("Name").fill("THE VERT");
  await dialog.getByLabel("Price").fill("1,500");
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByText("A price is a number such as 2500 or 12.50.").waitFor();
  await dialog.getByLabel("Price").fill("12,50");
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByRole("link", { name: "Open that product" }).waitFor();
  await expectAccessible(page);
  await page.keyboard.press("Escape");
  await expect.poll(() => page.getByRole("dialog").count()).toBe(0);
  await page.getByRole("link", { name: "New product" }).click();
  await dialog.getByText("You go on with what you had typed before.").waitFor();
  await dialog.getByLabel("Name").fill("Café moulu");
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByRole("row", { name: /Café moulu.*€12\.50/ }).waitFor();

  const offered = page.getByRole("switch", { name: "The assistant offers Café moulu" });
  await offered.click();
  await page.getByLabel("Status").selectOption("unavailable");
  await page.getByRole("row", { name: /Café moulu/ }).waitFor();
  await expect.poll(() => page.getByRole("row").count()).toBe(2);
  expect(new URL(page.url()).search).toBe("?status=unavailable");
  await page.getByRole("button", { name: "Actions for Café moulu" }).click();
  await page.getByRole("menuitem", { name: "Archive" }).click();
  await page.getByText("Nothing matches these filters").waitFor();
  await page.getByLabel("Status").selectOption("archived");
  await page.getByRole("button", { name: "Actions for Café moulu" }).click();
  await page.getByRole("menuitem", { name: "Bring back" }).click();
  await page.getByText("Nothing matches these filters").waitFor();
  await expectAccessible(page);
  expect(problems.filter((problem) => !problem.includes("409"))).toEqual([]);
  await context.close();

  const support = await visit();
  await signIn(support.page, await createSupportUser(company), "/products");
  for (const path of ["/products", "/products/import", "/start"]) {
    await support.page.goto(path);
    await support.page.getByText("Only owners see this").waitFor();
    await support.page.getByText("You may", { exact: false }).waitFor();
  }
  expect(await support.page.getByRole("link", { name: "Products" }).count()).toBe(0);
  await expectAccessible(support.page);
  await support.context.close();
});

it("a spreadsheet is shown before it is imported, with its faults by line; a template is at hand", async () => {
  const company = await createCompany();
  const { page, context, problems } = await visit({ size: "phone", dark: true, language: "fr" });
  await signIn(page, company, "/products/import");
  const [template] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Télécharger un modèle" }).click()]);
  const content = await contentOf(template);
  expect(content.toString()).toBe("\ufeffnom;prix;description;disponible\r\nCafé moulu 250 g;2500;Arabica de Man;oui\r\nThé vert 100 g;1500;;non\r\n");
  await choose(page, template.suggestedFilename(), content);
  await page.getByText("produits.csv : 2 produits").waitFor();
  await expectAccessible(page);
  await page.getByRole("button", { name: "Importer 2 produits" }).click();
  await page.getByText("2 produits lus : 2 ajoutés, 0 modifié, 0 inchangé.").waitFor();

  await choose(page, "faux.csv", 'nom;prix\nSac;10\n<img src=x onerror="alert(1)">;dix\n=1+1;5\n');
  await page.getByRole("cell", { name: "Ce n’est pas un prix.", exact: false }).waitFor();
  expect(await page.getByRole("table", { name: "Valeurs à corriger" }).getByRole("row").count()).toBe(3);
  expect(await page.getByRole("button", { name: /Importer/ }).isDisabled()).toBe(true);
  await expectAccessible(page);
  // The server knows more than the preview: the currency has no cents.
  await choose(page, "centimes.csv", "nom;prix\nSac;10,50\n");
  await page.getByRole("button", { name: "Importer 1 produit" }).click();
  await page.getByText("Rien n’a été importé.", { exact: false }).waitFor();
  expect(await page.getByRole("table", { name: "Valeurs à corriger" }).getByRole("row").nth(1).textContent()).toContain("10,50");
  await choose(page, "Ancien.csv", new Uint8Array([...Buffer.from("nom,prix\nCaf"), 0xe9, ...Buffer.from(" moulu 250 g,3000\n")]));
  await page.getByRole("button", { name: "Importer 1 produit" }).click();
  await page.getByText("1 produit lu : 0 ajouté, 1 modifié, 0 inchangé.").waitFor();
  await page.getByRole("link", { name: "Catalogue" }).first().click();
  await page.getByRole("row", { name: /Café moulu 250 g/ }).waitFor();
  await expectAccessible(page);
  expect(problems.filter((problem) => !problem.includes("422"))).toEqual([]);
  await context.close();
});
