/** Two people of a company at the same time: each sees within three seconds what the other one did. */
import { expect, it } from "vitest";

import { useBrowser, visit } from "./browser";
import { createCompany, createSupportUser, handOver, signIn } from "./company";

useBrowser();

const SOON = { timeout: 3_000 };

it("what one does in a conversation and with an order, the other one sees within three seconds, both ways", async () => {
  const company = await createCompany();
  const conversation = await handOver(company, 1, "Awa Koné");
  const order = await company.api<{ id: string; number: string }>("POST", "orders", { customer_name: "Awa Koné", items: [{ name: "Café", quantity: 1, unit_price: "5" }] });
  const [owner, support] = [await visit(), await visit({ size: "phone" })];
  await signIn(owner.page, company, `/inbox?conversation=${conversation}`);
  await signIn(support.page, await createSupportUser(company), `/inbox?conversation=${conversation}`);
  await owner.page.getByRole("button", { name: "Take over" }).waitFor();

  await support.page.getByRole("textbox", { name: "Your answer" }).fill("Bonjour Awa, je regarde.");
  await support.page.getByRole("button", { name: "Send" }).click();
  await support.page.getByRole("log").getByText("Bonjour Awa, je regarde.").waitFor();
  await owner.page.getByRole("log").getByText("Bonjour Awa, je regarde.").waitFor(SOON);
  await owner.page.getByText(/has it$/).first().waitFor(SOON);

  await owner.page.getByRole("button", { name: "Give back" }).click();
  await owner.page.getByText("The assistant answers", { exact: true }).first().waitFor();
  await support.page.getByText("The assistant answers", { exact: true }).first().waitFor(SOON);

  await Promise.all([owner.page.goto("/orders"), support.page.goto(`/orders/${order.id}`)]);
  await owner.page.getByRole("cell", { name: "Pending" }).waitFor();
  await support.page.getByRole("button", { name: "Confirm the order" }).click();
  await support.page.getByRole("button", { name: "Start the preparation" }).waitFor();
  await owner.page.getByRole("cell", { name: "Confirmed" }).waitFor(SOON);
  await owner.page.getByRole("link", { name: /Awa/ }).click();
  await owner.page.getByRole("button", { name: "Start the preparation" }).click();
  await owner.page.getByRole("button", { name: "Mark as delivered" }).waitFor();
  await support.page.getByRole("button", { name: "Mark as delivered" }).waitFor(SOON);
  expect([...owner.problems, ...support.problems]).toEqual([]);
  await owner.context.close();
  await support.context.close();
});

it("a message that comes while the page loads is shown", async () => {
  const company = await createCompany();
  const { page, context } = await visit();
  await page.route(
    "**/api/v1/changes?cursor=now",
    async (route) => {
      await company.receive({ id: 1, name: "Awa" }, "Bonjour");
      await route.continue();
    },
    { times: 1 },
  );
  await signIn(page, company, "/inbox");
  await page.getByRole("link", { name: /^Awa/ }).waitFor();
  await context.close();
});
