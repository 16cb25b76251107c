// @vitest-environment happy-dom
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";

import { FormattedText } from "./formatted-text";
import { plainText, previewOf, readParts } from "./whatsapp-text";

const html = (text: string) => renderToStaticMarkup(createElement(FormattedText, { text }));

describe("WhatsApp's marks", () => {
  it("become elements: bold, italic, struck, monospaced, also within each other", () => {
    expect(html("*Prix* : _1 500 F_, ~2 000~, `ref-1`")).toBe("<strong>Prix</strong> : <em>1 500 F</em>, <s>2 000</s>, <code>ref-1</code>");
    expect(html("_*Très* bien_ (*oui*).")).toBe("<em><strong>Très</strong> bien</em> (<strong>oui</strong>).");
    expect(html("```a\n*b*```!")).toBe("<code>a\n*b*</code>!");
    expect(html("*é*\n_à_")).toBe("<strong>é</strong>\n<em>à</em>");
  });

  it("stay as they are where they are no marks", () => {
    for (const text of ["2 * 3 * 4", "snake_case_name", "*a", "a*b*c", "* a *", "**", "****", "___", "*a\nb*", "```", "```open", "~ ", "x_y_ z", "``"]) {
      expect(readParts(text), text).toEqual([text]);
    }
    expect(readParts("")).toEqual([]);
  });

  it("never make HTML of what a message says", () => {
    expect(html("*<img src=x onerror=alert(1)>*")).toBe("<strong>&lt;img src=x onerror=alert(1)&gt;</strong>");
    expect(html("`</code><script>alert(1)</script>`")).toBe("<code>&lt;/code&gt;&lt;script&gt;alert(1)&lt;/script&gt;</code>");
  });

  it("lose no letter of a long text of marks, and end", () => {
    const letters = (text: string) => text.replace(/[^abc]/g, "").length;
    for (const text of ["*a ".repeat(5_000), "*_~`".repeat(5_000), "_a* ".repeat(5_000), "```".repeat(5_000), "*a_b*c_".repeat(3_000)]) {
      expect(letters(plainText(text))).toBe(letters(text));
    }
  });

  it("are left out of one line", () => {
    expect(plainText("*Bonjour* _Awa_\n1*2")).toBe("Bonjour Awa\n1*2");
  });
});

describe("the preview of a message", () => {
  const cut = (text: string) => Array.from(text).slice(0, 200).join("");

  it("leaves out the line of the sources, in both languages, whole or cut", () => {
    expect(previewOf("*Livraison* : 1 500 F\n\n_Source : guide, p. 1_")).toBe("Livraison : 1 500 F");
    expect(previewOf("Delivery costs 1500.\n\n_Source: guide, p. 1 ; prices, p. 2_")).toBe("Delivery costs 1500.");
    const long = `${"mot ".repeat(40).trim()}\n\n_Source : guide-livraison-et-retours-de-la-boutique.pdf, p. 12_`;
    expect(previewOf(cut(long))).toBe("mot ".repeat(40).trim());
    for (const length of [3, 4, 9]) {
      const text = "m".repeat(200 - length);
      expect(previewOf(cut(`${text}\n\n_Source : guide, p. 1_`)), String(length)).toBe(text);
    }
  });

  it("keeps other last paragraphs, and a source within the text", () => {
    expect(previewOf("Bonjour\n\n_Merci_")).toBe("Bonjour\n\nMerci");
    expect(previewOf("_Source : la nôtre_\nsuite")).toBe("Source : la nôtre\nsuite");
    expect(previewOf("a\n\n_Source : b_\n\nc")).toBe("a\n\nSource : b\n\nc");
  });

  it("shows no mark that the cut left open", () => {
    const before = "a ".repeat(92);
    expect(previewOf(cut(`${before}*très important à savoir*`))).toBe(`${before}très important`);
    expect(previewOf(cut(`${before}_*très important à savoir*_`))).toBe(`${before}très important`);
    expect(previewOf("2 *3")).toBe("2 *3");
  });
});
