// @vitest-environment happy-dom
import { expect, it, vi } from "vitest";

import { ApiError } from "@/api/errors";
import { alerts, click, mount, shown, preparePage } from "@/lib/testing";

const GET = vi.fn();
const POST = vi.fn();
vi.mock("@/api/client", () => ({ call: (answer: unknown) => answer, client: { GET, POST }, NO_COMPANY: "none" }));

const { Restoration } = await import("./deleted-company");

preparePage();

it("says that the dates could not be loaded, and loads them again, while the company can be restored", async () => {
  GET.mockRejectedValueOnce(new ApiError(503, "unavailable", "unavailable"));
  await mount(<Restoration isOther={false} />);
  expect(alerts()).toContain("The service is not available for the moment.");
  POST.mockRejectedValueOnce(new ApiError(409, "purge_started", "purge started"));
  await click("Restore everything");
  expect(alerts()).toContain("The 30 days are over");
  GET.mockResolvedValueOnce({ data: { status: "deleted", deleted_at: "2026-11-29T23:30:00Z", purge_after: "2026-12-29T23:30:00Z" } });
  await click("Try again");
  expect(shown()).toContain("Until 29 Dec 2026, 23:30 UTC everything can be restored.");
  expect(alerts()).not.toContain("The service is not available");
});

it("says that the dates are loaded, while the company can be restored", async () => {
  GET.mockReturnValueOnce(new Promise(() => undefined));
  POST.mockRejectedValueOnce(new ApiError(409, "purge_started", "purge started"));
  await mount(<Restoration isOther={false} />);
  expect(document.querySelector('[data-state="loading"]')).not.toBeNull();
  await click("Restore everything");
  expect(alerts()).toContain("The 30 days are over");
});
