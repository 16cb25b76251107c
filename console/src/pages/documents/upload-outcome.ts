import type { DocumentItem } from "./queries";
import type { UploadTask } from "./uploads";

/** The state of an upload's document after its file has arrived; `gone` when it is among the newest documents no more. */
export type ReadingState = "reading" | "read" | "read-with-gaps" | "failed" | "gone";

/** Returns what became of the document of an upload. `recent` are the newest documents; undefined while they are not known. */
export function readingOf({ documentId }: Pick<UploadTask, "documentId">, recent: readonly DocumentItem[] | undefined): ReadingState {
  if (recent === undefined) return "reading";
  const document = recent.find(({ id }) => id === documentId);
  if (document === undefined) return "gone";
  if (document.status === "pending") return "reading";
  if (document.status === "failed") return "failed";
  return document.pages_unread.length > 0 ? "read-with-gaps" : "read";
}
