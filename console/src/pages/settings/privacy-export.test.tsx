// @vitest-environment happy-dom
import { beforeEach, expect, it, vi } from "vitest";

import { ApiError } from "@/api/errors";
import { alerts, button, click, mount, pass, shown, preparePage } from "@/lib/testing";

import type { Export } from "./privacy-values";

const GET = vi.fn();
vi.mock("@/api/client", () => ({ call: (answer: unknown) => answer, client: { GET } }));

const { ExportCard } = await import("./privacy-export");

const NEW_LINK = "Make a new link";

/** The list that the API answers, and its answers about one export, by id. */
let list: Export[];
let answers: Record<string, Export | ApiError>;

const exportWith = (id: string, status: string): Export => ({ id, status, created_at: "2026-11-29T12:00:00Z" });

function readyExport(id: string): Export {
  const download = { url: "https://files.example/archive.zip", expires_at: new Date(Date.now() + 900_000).toISOString() };
  return { ...exportWith(id, "ready"), download };
}

preparePage("privacy");

beforeEach(() => {
  GET.mockImplementation((path: string, { params }: { params: { path?: { id: string } } }) => {
    if (path === "/api/v1/privacy/exports") return Promise.resolve({ data: list, meta: { next_cursor: null } });
    const answer = answers[params.path?.id ?? ""];
    return answer instanceof ApiError ? Promise.reject(answer) : Promise.resolve({ data: answer });
  });
});

it("lists the earlier exports again when the newest one is ready", async () => {
  list = [exportWith("new", "queued"), exportWith("old", "ready")];
  answers = { new: exportWith("new", "running") };
  await mount(<ExportCard />);
  expect(button(NEW_LINK)).toBeDefined();
  list = [exportWith("new", "ready"), exportWith("old", "expired")];
  answers = { new: readyExport("new") };
  await pass(2_000);
  expect(shown()).toContain("Download the archive");
  expect(shown()).toContain("– deleted");
  expect(button(NEW_LINK)).toBeUndefined();
});

it("says that an earlier archive is deleted when its link is requested", async () => {
  list = [exportWith("new", "failed"), exportWith("old", "ready")];
  answers = { new: exportWith("new", "failed"), old: exportWith("old", "expired") };
  await mount(<ExportCard />);
  await click(NEW_LINK);
  expect(shown()).toContain("This archive was deleted after 7 days, or replaced.");
  expect(shown()).toContain("– deleted");
  expect(button(NEW_LINK)).toBeUndefined();
});

it("says why a link to an earlier archive could not be made, and makes it afterwards", async () => {
  list = [exportWith("new", "failed"), exportWith("old", "ready")];
  answers = { new: exportWith("new", "failed"), old: new ApiError(503, "unavailable", "unavailable") };
  await mount(<ExportCard />);
  await click(NEW_LINK);
  expect(alerts()).toContain("The service is not available for the moment.");
  answers = { old: readyExport("old") };
  await click(NEW_LINK);
  expect(alerts()).toBe("");
  expect(shown()).toContain("Download the archive");
});

it("says why the next link to the newest archive could not be made", async () => {
  list = [exportWith("new", "ready")];
  answers = { new: readyExport("new") };
  await mount(<ExportCard />);
  await pass(900_000);
  answers = { new: new ApiError(0, "offline", "the server was not reached") };
  await click(NEW_LINK);
  expect(alerts()).toContain("The server was not reached.");
  expect(button(NEW_LINK)).toBeDefined();
});
