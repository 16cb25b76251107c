import { expect, it, vi } from "vitest";

import guide from "../../../../docs/MANYCHAT.md?raw";
import { MANYCHAT_BODY, SECRET_HEADER, webhookUrl } from "./manychat";

vi.mock("@/api/client", () => ({}));
vi.mock("@/session/company", () => ({}));

const { nextStep } = await import("./progress");

it("gives ManyChat what the guide gives", () => {
  expect(guide).toContain(MANYCHAT_BODY);
  expect(guide).toContain(`\`${SECRET_HEADER}\``);
  expect(webhookUrl("https://lisa.example")).toBe("https://lisa.example/api/v1/webhook/manychat");
  expect(guide).toContain("/api/v1/webhook/manychat");
});

it("goes through the steps in their order, over those that are done", () => {
  const none = { upload: false, ask: false, manychat: false, invite: false, plan: false };
  expect(nextStep(none)).toBe("upload");
  expect(nextStep({ ...none, upload: true, manychat: true })).toBe("ask");
  expect(nextStep({ upload: true, ask: true, manychat: true, invite: true, plan: true })).toBeNull();
});
