import { afterEach, expect, it, vi } from "vitest";

import guide from "../../../../docs/MANYCHAT.md?raw";

import { CONTENT_TYPE, REQUEST_BODY, SECRET_HEADER, webhookUrl } from "./manychat-guide";

afterEach(() => vi.unstubAllGlobals());

it("is the address, the headers and the body of the guide in the documentation", () => {
  expect(guide).toContain(REQUEST_BODY);
  expect(guide).toContain(`Header \`${SECRET_HEADER}\``);
  expect(guide).toContain(`\`${CONTENT_TYPE}\``);
  vi.stubGlobal("window", { location: { origin: "https://<your API>" } });
  expect(guide).toContain(`\`${webhookUrl()}\``);
});

it("is JSON once ManyChat has filled it in", () => {
  const filled = REQUEST_BODY.replaceAll(/\{\{[^}]*\}\}/g, '"x"');
  expect(Object.keys(JSON.parse(filled) as object)[0]).toBe("id");
});
