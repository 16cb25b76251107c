// @vitest-environment happy-dom
import { expect, it } from "vitest";

import { ownPath } from "./routes";

it("goes on to paths of the console only", () => {
  expect(ownPath("/inbox?status=human")).toBe("/inbox?status=human");
  for (const stranger of ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "", 7, undefined]) {
    expect(ownPath(stranger)).toBeUndefined();
  }
});
