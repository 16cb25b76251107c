// @vitest-environment happy-dom
import { act, StrictMode } from "react";
import { beforeEach, expect, it, vi } from "vitest";

import { ApiError } from "@/api/errors";
import { session } from "@/api/session";
import { emptyCache, mount, pass, preparePage, shown, unmount } from "@/lib/testing";

const GET = vi.fn();
const send = vi.fn();
vi.mock("@/api/client", () => ({ call: (answer: unknown) => answer, client: { GET }, send }));
vi.mock("@tanstack/react-router", () => ({ Link: () => null, Navigate: () => null, Outlet: () => "The page", useRouterState: () => "/orders" }));
vi.mock("./banners", () => ({ OfflineBanner: () => null, PaywallBanner: () => null }));
vi.mock("./company-switcher", () => ({ CompanySwitcher: () => null, OtherCompanies: () => null }));
vi.mock("./lazy-menus", () => ({ LazyAccountMenu: () => null }));
vi.mock("./sidebar", () => ({ Sidebar: () => null }));

const { cursorQuery } = await import("@/api/changes");
const { AppLayout } = await import("./app-layout");

/** The cursors of the calls of the feed. The answer to the n-th "now" has the cursor "place n". */
let cursors: string[];
const placesTaken = () => cursors.filter((cursor) => cursor === "now").length;

preparePage();

beforeEach(() => {
  cursors = [];
  session.set({ status: "signed-in", userId: "u1", email: "awa@example.com", companyId: "c1" });
  GET.mockResolvedValue({ data: { tenant: {}, user: {} } });
  send.mockImplementation(({ url }: Request) => {
    const cursor = new URL(url).searchParams.get("cursor") ?? "";
    cursors.push(cursor);
    const next = cursor === "now" ? `place ${placesTaken()}` : cursor;
    return Promise.resolve(Response.json({ data: [], meta: { next_cursor: next, has_more: false } }));
  });
});

it("follows the feed from the place that the page's start took, also in StrictMode", async () => {
  const queries = emptyCache();
  await queries.query(cursorQuery);
  await mount(
    <StrictMode>
      <AppLayout />
    </StrictMode>,
    queries,
  );
  GET.mockResolvedValue({ data: { tenant: { name: "Comptoir Baobab" }, user: {} } });
  await queries.invalidateQueries({ queryKey: ["context"] });
  await pass(5_000);
  expect(shown()).toContain("The page");
  expect(placesTaken()).toBe(1);
  expect(cursors.at(-1)).toBe("place 1");
});

it("takes a new place when it is mounted again, and follows the changes from there", async () => {
  const queries = emptyCache();
  await mount(<AppLayout />, queries);
  await pass(5_000);
  await unmount();
  const before = cursors.length;
  await pass(5_000);
  expect(cursors).toHaveLength(before);
  await mount(<AppLayout />, queries);
  await pass(5_000);
  expect(cursors.slice(before)).not.toContain("place 1");
  expect(cursors.at(-1)).toBe("place 2");
});

it("takes one new place for another company", async () => {
  const queries = emptyCache();
  await mount(<AppLayout />, queries);
  act(() => {
    queries.clear();
    session.set({ status: "signed-in", userId: "u1", email: "awa@example.com", companyId: "c2" });
  });
  await pass(5_000);
  expect(placesTaken()).toBe(2);
  expect(cursors.at(-1)).toBe("place 2");
});

it("takes a new place for a company that was suspended and is open again", async () => {
  const queries = emptyCache();
  await mount(<AppLayout />, queries);
  GET.mockRejectedValue(new ApiError(403, "tenant_suspended", "suspended"));
  await queries.invalidateQueries({ queryKey: ["context"] });
  await pass(5_000);
  expect(shown()).toContain("This company is suspended");
  GET.mockResolvedValue({ data: { tenant: {}, user: {} } });
  await queries.invalidateQueries({ queryKey: ["context"] });
  await pass(5_000);
  expect(shown()).toContain("The page");
  expect(cursors.at(-1)).toBe("place 2");
});
