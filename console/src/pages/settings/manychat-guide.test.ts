import { expect, it } from "vitest";

import guide from "../../../../docs/MANYCHAT.md?raw";

import { REQUEST_BODY, SECRET_HEADER } from "./manychat-guide";

it("is the body and the header of the guide in the documentation", () => {
  expect(guide).toContain(REQUEST_BODY);
  expect(guide).toContain(`Header \`${SECRET_HEADER}\``);
});

it("is JSON once ManyChat has filled it in", () => {
  const filled = REQUEST_BODY.replaceAll(/\{\{[^}]*\}\}/g, '"x"');
  expect(Object.keys(JSON.parse(filled) as object)[0]).toBe("id");
});
