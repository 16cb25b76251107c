import { expect, it } from "vitest";

import { readFromViewer } from "./messages";

it("messages of the frame are read as what they are", () => {
  expect(readFromViewer({ type: "opened", pages: 12 })).toEqual({ type: "opened", pages: 12 });
  expect(readFromViewer({ type: "failed", reason: "password" })).toEqual({ type: "failed", reason: "password" });
  expect(readFromViewer({ type: "turn", by: -1 })).toEqual({ type: "turn", by: -1 });
  expect(readFromViewer({ type: "need", id: 3, kind: "wasmUrl", filename: "jbig2.wasm", more: 1 })).toEqual({
    type: "need",
    id: 3,
    kind: "wasmUrl",
    filename: "jbig2.wasm",
  });
});

it("what a taken-over frame might send is dropped", () => {
  for (const data of [
    null,
    "ready",
    { type: "opened", pages: -1 },
    { type: "opened", pages: 1.5 },
    { type: "failed", reason: "<b>" },
    { type: "turn", by: 99 },
    { type: "need", id: 1, kind: "https://example.com/", filename: "x" },
    { type: "need", id: "1", kind: "wasmUrl", filename: "x" },
    { type: "navigate", to: "/settings" },
  ]) {
    expect(readFromViewer(data)).toBeNull();
  }
});
