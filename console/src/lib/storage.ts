/** The browser's storage, which throws where it is blocked or full. Nothing in it is needed, so failures are no errors. */
export function readStored(key: string, storage: "local" | "session" = "local"): string | null {
  try {
    return area(storage).getItem(key);
  } catch {
    return null;
  }
}

/** Stores a value; null removes it. */
export function writeStored(key: string, value: string | null, storage: "local" | "session" = "local"): void {
  try {
    if (value === null) area(storage).removeItem(key);
    else area(storage).setItem(key, value);
  } catch {
    // Blocked or full: the value lasts until the page is closed.
  }
}

function area(storage: "local" | "session"): Storage {
  return storage === "local" ? window.localStorage : window.sessionStorage;
}
