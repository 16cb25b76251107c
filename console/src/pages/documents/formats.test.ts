import { expect, it } from "vitest";

import { extensionOf, MAX_FILE_BYTES, refusalOf } from "./formats";

const file = (name: string, content: BlobPart = "text") => new File([content], name);
const sized = (name: string, size: number) => Object.defineProperty(file(name, "%PDF-1.7"), "size", { value: size });

it("takes each format by its name and its first bytes", async () => {
  expect(await refusalOf(file("a.PDF", "%PDF-1.7"))).toBeNull();
  expect(await refusalOf(file("from a mail.pdf", `\r\n\r\n%PDF-1.4`))).toBeNull();
  for (const name of ["a.txt", "a.md", "a.csv", "a.html", "a.htm"]) expect(await refusalOf(file(name))).toBeNull();
  for (const name of ["a.docx", "a.xlsx"]) expect(await refusalOf(file(name, "PK\u0003\u0004…"))).toBeNull();
});

it("refuses with what the owner can do", async () => {
  expect(await refusalOf(file("tarifs.doc"))).toEqual({ kind: "convert", to: "docx" });
  expect(await refusalOf(file("photo.JPG"))).toEqual({ kind: "convert", to: "pdf" });
  expect(await refusalOf(file("virus.exe"))).toEqual({ kind: "format" });
  expect(await refusalOf(file("folder"))).toEqual({ kind: "format" });
  expect(await refusalOf(file("renamed.pdf", "PK\u0003\u0004"))).toEqual({ kind: "content", extension: "pdf" });
  expect(await refusalOf(file("renamed.xlsx", "%PDF-1.7"))).toEqual({ kind: "content", extension: "xlsx" });
  expect(await refusalOf(file("empty.txt", ""))).toEqual({ kind: "empty" });
  expect(await refusalOf(file(`${"n".repeat(260)}.pdf`, "%PDF-"))).toEqual({ kind: "long-name" });
});

it("takes 20 MiB and refuses a byte more", async () => {
  expect(await refusalOf(sized("a.pdf", MAX_FILE_BYTES))).toBeNull();
  expect(await refusalOf(sized("a.pdf", MAX_FILE_BYTES + 1))).toEqual({ kind: "too-large" });
});

it("finds the extension behind the last dot", () => {
  expect(extensionOf("a.b.PDF")).toBe("pdf");
  expect(extensionOf("none")).toBe("");
});
