import { expect, it, vi } from "vitest";

import { ApiError } from "@/api/errors";

vi.mock("@/api/client", () => ({}));

const { isInvitationRefused, readEnd } = await import("./query");

it("reads why and when an invitation ended", () => {
  const gone = (code: string, details: unknown) => new ApiError(410, code, "", { details });
  expect(readEnd(gone("invitation_used", { ended_at: "2026-11-26T09:30:06Z" }))).toEqual({ end: "used", endedAt: "2026-11-26T09:30:06Z" });
  expect(readEnd(gone("invitation_revoked", null))).toEqual({ end: "revoked", endedAt: null });
  expect(readEnd(gone("invitation_expired", { ended_at: 7 }))).toEqual({ end: "expired", endedAt: null });
  expect(readEnd(new ApiError(404, "not_found", ""))).toEqual({ end: "unknown", endedAt: null });
});

it("does not take another failure for the end of the invitation", () => {
  for (const error of [new ApiError(0, "offline", ""), new ApiError(429, "rate_limited", ""), new ApiError(503, "unavailable", ""), new Error("x"), null]) {
    expect(readEnd(error)).toBeNull();
  }
});

it("knows a refusal because of the invitation", () => {
  const refused = (field: string) => new ApiError(422, "validation_failed", "", { details: [{ field, message: "is unknown" }] });
  expect(isInvitationRefused(refused("invitation"))).toBe(true);
  expect(isInvitationRefused(refused("password"))).toBe(false);
  expect(isInvitationRefused(null)).toBe(false);
});
