/**
 * Answers that are being written, kept over a reload, a lost session and a change of the conversation. A draft belongs to its
 * user. Its idempotency key stays until it is sent, so that a repetition after a lost connection sends nothing twice.
 */
import { readStored, writeStored } from "@/lib/storage";
import { createStore, type Store } from "@/lib/store";

export interface Draft {
  text: string;
  key: string;
}

const PREFIX = "lisa.draft";
const stores = new Map<string, Store<Draft>>();

function read(name: string): Draft {
  const stored = readStored(name);
  const end = stored?.indexOf(" ") ?? -1;
  return stored === null || end === -1 ? emptyDraft() : { key: stored.slice(0, end), text: stored.slice(end + 1) };
}

function emptyDraft(): Draft {
  return { text: "", key: crypto.randomUUID() };
}

const nameOf = (user: string, conversation: string) => `${PREFIX} ${user} ${conversation}`;

/** The draft of a user for a conversation. */
export function draftOf(user: string, conversation: string): Store<Draft> {
  const name = nameOf(user, conversation);
  let store = stores.get(name);
  if (store === undefined) {
    store = createStore(read(name));
    stores.set(name, store);
  }
  return store;
}

/** Another text is another message, so it gets a key of its own. */
export function writeDraft(user: string, conversation: string, text: string): void {
  const store = draftOf(user, conversation);
  if (store.get().text === text) return;
  const draft = { text, key: crypto.randomUUID() };
  store.set(draft);
  writeStored(nameOf(user, conversation), text === "" ? null : `${draft.key} ${text}`);
}

/** Removes a draft that was sent, unless it was changed meanwhile. */
export function dropDraft(user: string, conversation: string, sent: Draft): void {
  if (draftOf(user, conversation).get().key === sent.key) writeDraft(user, conversation, "");
}
