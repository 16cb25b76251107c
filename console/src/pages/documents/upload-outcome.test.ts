import { expect, it } from "vitest";

import type { DocumentItem } from "./queries";
import { readingOf } from "./upload-outcome";

it("follows the document of an upload to its end", () => {
  const document = (status: string, pages_unread: unknown[] = []) => [{ id: "d1", status, pages_unread } as unknown as DocumentItem];
  const upload = { documentId: "d1" };
  expect(readingOf(upload, undefined)).toBe("reading");
  expect(readingOf(upload, document("pending"))).toBe("reading");
  expect(readingOf(upload, document("processed"))).toBe("read");
  expect(readingOf(upload, document("processed", [{}]))).toBe("read-with-gaps");
  expect(readingOf(upload, document("failed"))).toBe("failed");
  expect(readingOf(upload, [])).toBe("gone");
});
