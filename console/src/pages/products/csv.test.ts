import { expect, it } from "vitest";

import { products } from "@/texts/en/products";

import { readProducts } from "./csv";

const { reasons } = products;
const read = (content: string | Uint8Array) =>
  readProducts("file.csv", (typeof content === "string" ? new TextEncoder().encode(content) : content).slice().buffer, reasons);

it("reads commas, semicolons, tabs, a byte order mark, and Excel's own line", async () => {
  for (const file of ["name,price\nTea,5\n", "Nom;Prix\r\nTea;5\r\n", "produit\tprix\nTea\t5", "\ufeffname,price\nTea,5", "sep=|\nname|price\nTea|5"]) {
    const found = await read(file);
    expect(found?.columns, file).toEqual(["name", "price"]);
    expect(found?.rows.map(({ fields }) => fields), file).toEqual([["Tea", "5"]]);
    expect(found?.faults, file).toEqual([]);
  }
});

it("counts lines over empty ones and over line breaks within a value", async () => {
  const found = await read('name;price;description\n\nTea;5;"two\nlines"\n;;\nCoffee;7;\n');
  expect(found?.rows.map(({ line, fields }) => [line, fields[0]])).toEqual([
    [3, "Tea"],
    [6, "Coffee"],
  ]);
});

it("reports each wrong value with its line", async () => {
  const found = await read("name;price;currency;available\nTea;1000;;\n=cmd();-1;FCFA;maybe\nCafé;12,50;eur;non\nTea\nCAFE;1,500;;oui\n");
  expect(found?.faults.map(({ line, field, value }) => [line, field, value])).toEqual([
    [3, "name", "=cmd()"],
    [3, "price", "-1"],
    [3, "currency", "FCFA"],
    [3, "available", "maybe"],
    [5, "row", "Tea"],
    [6, "price", "1,500"],
    [6, "name", "CAFE"],
  ]);
  expect(found?.faults.at(-1)?.reason).toBe("Line 4 has this name already.");
});

it("reports columns that are missing, unknown or there twice", async () => {
  const found = await read("name;stock;nom\nTea;5;Tea\n");
  expect(found?.faults.map(({ field, reason }) => [field, reason])).toEqual([
    ["stock", reasons.columnUnknown],
    ["name", reasons.columnTwice],
    ["price", reasons.columnMissing],
  ]);
  expect((await read("name,price\n"))?.faults.map(({ reason }) => reason)).toEqual([reasons.empty]);
  expect((await read(""))?.faults.length).toBeGreaterThan(0);
});

it("reads an older spreadsheet's encoding, and refuses what is no text", async () => {
  const old = await read(new Uint8Array([...new TextEncoder().encode("name,price\nCaf"), 0xe9, ...new TextEncoder().encode(",5\n")]));
  expect([old?.rows[0]?.fields[0], old?.isUtf8]).toEqual(["Café", false]);
  expect(await read(new Uint8Array([0x50, 0x4b, 3, 4, 0, 0, 0]))).toBeNull();
});

it("reads twenty thousand rows, and says when there are more", async () => {
  const rows = (n: number) => `name,price\n${Array.from({ length: n }, (_, at) => `Product ${at},${at}`).join("\n")}\n`;
  const most = await read(rows(20_000));
  expect([most?.rows.length, most?.faults.length, most?.rows.at(-1)?.line]).toEqual([20_000, 0, 20_001]);
  expect((await read(rows(20_001)))?.faults.length).toBe(1);
});
