import { expect, it } from "vitest";

import { sourceOf } from "./answer-source";

it("says of an answer where it comes from", () => {
  const answered = (model: string) => sourceOf({ answered: true, model });
  expect([answered("extractive-1"), answered("catalogue-1"), answered("approved-answer"), answered("llama-3.3-70b")]).toEqual([
    "documents",
    "catalogue",
    "approved",
    null,
  ]);
});

it("calls no sentence an answer that is none, whatever model wrote it", () => {
  expect(sourceOf({ answered: false, model: "extractive-1" })).toBe("notFound");
  expect(sourceOf({ answered: false, model: "llama-3.3-70b" })).toBe("notFound");
  expect(sourceOf({ answered: false, model: "none" })).toBe("noModel");
  expect(sourceOf({ answered: true, model: "courtesy" })).toBe("courtesy");
  expect(sourceOf({ answered: true, model: "toString" })).toBeNull();
});
