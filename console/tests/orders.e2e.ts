/** Orders by the interface: enter, price, walk the steps, cancel, delete; what others change is seen and explained. */
import { expect, it } from "vitest";

import { expectAccessible, useBrowser, visit } from "./browser";
import { type Company, createCompany, createSupportUser, signIn } from "./company";

useBrowser();

const HOSTILE = '<img src=x onerror="document.title=1"> مرحبا بالعالم ' + "Wort".repeat(30);

interface Order {
  id: string;
  number: string;
}

const addOrder = (company: Company, customer_name: string, items: object[]) =>
  company.api<Order>("POST", "orders", { customer_name, items });

it("a support user enters an order by hand, prices it, walks it to its end and finds it again", async () => {
  const company = await createCompany();
  await company.api("PATCH", "customers/me", { currency: "XOF" });
  const support = await createSupportUser(company);
  const { page, context, problems } = await visit();
  await signIn(page, support, "/orders");
  await page.getByText("No orders yet").waitFor();
  await expectAccessible(page);

  await page.getByRole("link", { name: "New order" }).click();
  await page.getByLabel("Name of the customer").fill("Awa Koné");
  await page.getByLabel("Product or name").fill("Café moulu");
  await page.getByLabel("Quantity").fill("0");
  await page.getByRole("button", { name: "Create the order" }).click();
  await page.getByText("From 1 to 999.").waitFor();
  await page.getByLabel("Quantity").fill("2");
  await page.reload();
  await page.getByText("You go on with what you had typed before.").waitFor();
  expect(await page.getByLabel("Product or name").inputValue()).toBe("Café moulu");
  await expectAccessible(page);
  await page.getByRole("button", { name: "Create the order" }).click();

  await page.getByText("1 item has no price yet.", { exact: false }).waitFor();
  expect(await page.getByRole("button", { name: "Confirm the order" }).isDisabled()).toBe(true);
  await expectAccessible(page);
  await page.getByRole("link", { name: "Set the prices" }).click();
  await page.getByLabel("Unit price").fill("2 500");
  await page.getByText("5,000", { exact: false }).waitFor();
  await expectAccessible(page);
  await page.getByRole("button", { name: "Save the changes" }).click();
  for (const step of ["Confirm the order", "Start the preparation", "Mark as delivered"]) await page.getByRole("button", { name: step }).click();
  await page.getByText("The order is delivered.").waitFor();
  expect(await page.getByRole("button", { name: /Cancel the order|Delete/ }).count()).toBe(0);

  await page.goto("/orders?search=awa&status=delivered");
  await page.getByRole("link", { name: /Awa Koné/ }).waitFor();
  await page.getByLabel("Status").selectOption("pending");
  await page.getByText("Nothing matches these filters").waitFor();
  expect(new URL(page.url()).search).toBe("?search=awa&status=pending");
  await expectAccessible(page);
  expect(problems).toEqual([]);
  await context.close();
});

it("a colleague's change is seen at once, and a step that came too late says why", async () => {
  const company = await createCompany();
  const order = await addOrder(company, "Awa", [{ name: "Sac", quantity: 1, unit_price: "10" }]);
  const { page, context } = await visit();
  await signIn(page, company, "/orders");
  await page.getByRole("cell", { name: "Pending" }).waitFor();
  await company.api("PATCH", `orders/${order.id}`, { status: "confirmed" });
  await page.getByRole("cell", { name: "Confirmed" }).waitFor();
  await page.getByRole("link", { name: /Awa/ }).click();
  const prepare = page.getByRole("button", { name: "Start the preparation" });
  await prepare.waitFor();
  await page.route("**/api/v1/changes*", (route) => route.abort());
  await company.api("PATCH", `orders/${order.id}`, { status: "cancelled" });
  await prepare.click();
  await page.getByText("the order is now “Cancelled”", { exact: false }).waitFor();
  await page.getByRole("button", { name: "Delete" }).waitFor();
  await expectAccessible(page);
  await page.getByRole("button", { name: "Delete" }).click();
  const dialog = page.getByRole("dialog", { name: `Delete order ${order.number}?` });
  await dialog.getByText("The order of Awa over", { exact: false }).waitFor();
  await expectAccessible(page);
  await dialog.getByRole("button", { name: "Delete" }).click();
  await page.getByText("No orders yet").waitFor();
  await context.close();
});

it("an owner gets the price of a product from the catalogue", async () => {
  const company = await createCompany();
  await company.api("PATCH", "customers/me", { currency: "EUR" });
  const product = await company.api<{ id: string }>("POST", "products", { name: "Thé vert", price: "4.50" });
  const { page, context, problems } = await visit();
  await signIn(page, company, "/orders/new");
  const name = page.getByRole("combobox", { name: "Product or name" });
  await name.fill("the");
  await page.getByRole("option", { name: /^Thé vert.*4\.50/ }).waitFor();
  await expectAccessible(page);
  await name.press("ArrowDown");
  await name.press("Enter");
  await page.getByText("From the catalogue").waitFor();
  expect([await name.inputValue(), await page.getByLabel("Unit price").inputValue()]).toEqual(["Thé vert", "4.50"]);
  await page.getByRole("button", { name: "Add an item" }).click();
  const other = page.getByRole("combobox", { name: "Product or name" }).nth(1);
  await other.fill("Emballage cadeau");
  await page.getByText("No product has this name", { exact: false }).waitFor();
  await page.getByLabel("Unit price").nth(1).fill("1");
  await expectAccessible(page);
  await page.getByRole("button", { name: "Create the order" }).click();
  await page.getByRole("button", { name: "Confirm the order" }).waitFor();
  const orders = await company.api<{ items: { product_id: string | null }[] }[]>("GET", "orders");
  expect(orders[0]?.items.map(({ product_id }) => product_id)).toEqual([product.id, null]);
  expect(problems).toEqual([]);
  await context.close();
});

it("an order edited by two is not lost: the second is told", async () => {
  const company = await createCompany();
  await company.api("PATCH", "customers/me", { currency: "EUR" });
  const order = await addOrder(company, "Awa", [{ name: "Sac", quantity: 1 }]);
  const { page, context } = await visit();
  await signIn(page, company, `/orders/${order.id}?edit=true`);
  await page.getByLabel("Unit price", { exact: false }).fill("12,50");
  await company.api("PATCH", `orders/${order.id}`, { customer_name: "Awa Koné" });
  await page.getByText("Somebody changed this order while you were editing it.", { exact: false }).waitFor();
  expect(await page.getByLabel("Unit price", { exact: false }).inputValue()).toBe("12,50");
  await page.getByRole("button", { name: "Load the new version" }).click();
  expect(await page.getByLabel("Name of the customer").inputValue()).toBe("Awa Koné");
  await page.getByLabel("Unit price", { exact: false }).fill("12,50");
  await page.getByRole("button", { name: "Save the changes" }).click();
  await page.getByRole("button", { name: "Confirm the order" }).waitFor();
  expect((await company.api<{ total_amount: string }>("GET", `orders/${order.id}`)).total_amount).toBe("12.50");
  await context.close();
});

it("markup, right-to-left text, long words and many orders break no page, on a phone and dark", async () => {
  const company = await createCompany();
  const orders = await Promise.all(
    Array.from({ length: 52 }, (_, n) => addOrder(company, n === 0 ? HOSTILE.slice(0, 200) : `Customer ${n}`, [{ name: HOSTILE.slice(0, 200), quantity: 999, unit_price: "99999999" }])),
  );
  const { page, context, problems } = await visit({ size: "phone", dark: true, language: "fr" });
  // The owner's calls of this minute are used up by the orders.
  await signIn(page, await createSupportUser(company), "/orders?sort=created_at");
  await page.getByText("Page 1 sur 2 · 52 au total").waitFor();
  await expectAccessible(page);
  await page.getByRole("link", { name: "Suivant" }).click();
  await page.getByText("Page 2 sur 2").waitFor();
  expect(new URL(page.url()).search).toBe("?sort=created_at&page=2");
  expect(await page.getByRole("row").count()).toBe(3);
  for (const edit of ["", "?edit=true"]) {
    await page.goto(`/orders/${orders[0]?.id}${edit}`);
    await page.getByRole("heading", { name: /ommande [0-9A-F]{8}/ }).waitFor();
    await expectAccessible(page);
  }
  await page.goto("/orders?status=lost&from=2026-02-30&page=-1&sort=x&limit=7");
  await page.getByText("Page 1 sur 2 · 52 au total").waitFor();
  await page.goto("/orders/3f1d2c4b-0c7e-4a53-8a4e-5d2f9b1c5a69");
  await page.getByText("Il n’y a rien ici").waitFor();
  await expectAccessible(page);
  expect(problems.filter((problem) => !problem.includes("404"))).toEqual([]);
  await context.close();
});
