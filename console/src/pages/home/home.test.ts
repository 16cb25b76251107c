import { expect, it, vi } from "vitest";

vi.mock("@/api/client", () => ({}));
vi.mock("@/session/company", () => ({}));

const { nextStep } = await import("./progress");

it("goes through the steps in their order, over those that are done", () => {
  const none = { upload: false, ask: false, manychat: false, invite: false, plan: false };
  expect(nextStep(none)).toBe("upload");
  expect(nextStep({ ...none, upload: true, manychat: true })).toBe("ask");
  expect(nextStep({ upload: true, ask: true, manychat: true, invite: true, plan: true })).toBeNull();
});
