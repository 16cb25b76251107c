// @vitest-environment happy-dom
import { expect, it, vi } from "vitest";

import { ApiError } from "@/api/errors";
import { mount, pass, shown, preparePage } from "@/lib/testing";

const GET = vi.fn();
vi.mock("@/api/client", () => ({ call: (answer: unknown) => answer, client: { GET } }));
vi.mock("@tanstack/react-router", () => ({ useSearch: () => ({ checkout: "success" }), Link: () => null }));

const { PlanSection } = await import("./plan");

const free = { plan: "free", status: "free", is_pro: false, can_open_portal: false };

preparePage("settings");

it("ends the polling after a payment while calls fail, and says what to do", async () => {
  let polls = 0;
  GET.mockImplementation((path: string) => {
    if (path === "/api/v1/plans") return Promise.resolve({ data: [] });
    polls += 1;
    return polls === 1 ? Promise.resolve({ data: free }) : Promise.reject(new ApiError(503, "unavailable", "unavailable"));
  });
  await mount(<PlanSection />);
  expect(shown()).toContain("as soon as Stripe reports it");
  await pass(120_000);
  expect(polls).toBe(30);
  expect(shown()).toContain("Load this page again in some minutes.");
});
