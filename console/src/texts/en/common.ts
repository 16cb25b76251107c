import { plural } from "../plural";

export const common = {
  product: "Lisa",
  loading: "Loading…",
  /** After ten seconds of loading. */
  stillLoading: "This takes longer than usual: waiting for the server.",
  retry: "Try again",
  cancel: "Cancel",
  close: "Close",
  save: "Save",
  delete: "Delete",
  edit: "Edit",
  back: "Back",
  copy: "Copy",
  copied: "Copied",
  more: "Show more",
  search: "Search",
  yes: "Yes",
  no: "No",
  none: "None",
  optional: "optional",
  required: "This is required.",
  requestId: (id: string) => `Request ${id}`,
  seconds: (n: number) => plural("en", n, "second", "seconds"),
  results: (n: number) => plural("en", n, "result", "results"),
  dismiss: "Dismiss",
};
