/**
 * The signed-in session of this tab. The access token is in this module's memory only. The refresh token is in the
 * HttpOnly cookie `lisa_refresh`, which no script can read.
 */
import { createStore } from "@/lib/store";
import { readStored, writeStored } from "@/lib/storage";

import { ApiError, errorOf } from "./errors";
import type { components } from "./schema";

type ServerSession = components["schemas"]["Session"];

export type SessionState =
  /** The first refresh has not ended yet. */
  | { status: "starting" }
  | { status: "signed-out"; /** The session ended by itself, not by a click. */ hasExpired: boolean }
  | { status: "signed-in"; userId: string; email: string; companyId: string | null };

export const SESSION_HEADERS = { "X-Session": "cookie" } as const;

/** A hint that a refresh is worth a call; the cookie itself cannot be seen. */
const HINT_KEY = "lisa.has-session";
const COMPANY_KEY = "lisa.company";
/** A token is renewed this long before its end, so that no call meets a 401 on the way. */
const RENEWAL_MARGIN_MS = 30_000;
const REFRESH_LOCK = "lisa.refresh";

export const session = createStore<SessionState>({ status: "starting" });

let accessToken: string | null = null;
let expiresAt = 0;
let pending: Promise<string | null> | null = null;
const otherTabs = new BroadcastChannel("lisa.session");

otherTabs.onmessage = (event: MessageEvent<unknown>) => {
  if (event.data === "signed-out") forget(false);
};

/** True when this browser has signed in and not out again, so that a session may be restored. */
export const hasSession = (): boolean => readStored(HINT_KEY) !== null;

/** Restores the session after a load of the page. Never fails: without an answer the page is signed out. */
export async function startSession(): Promise<void> {
  if (!hasSession()) {
    forget(false);
    return;
  }
  try {
    await refresh();
  } catch {
    forget(false, true);
  }
}

/** Takes over the tokens of a sign-in, a sign-up or a refresh. */
export function adoptSession(answer: ServerSession): void {
  const before = session.get();
  if (before.status === "signed-in" && before.userId !== answer.user.id) {
    // Another tab signed in as somebody else: nothing of the first user may stay in this tab's memory.
    window.location.reload();
    return;
  }
  accessToken = answer.access_token;
  expiresAt = Date.now() + answer.expires_in * 1000;
  writeStored(HINT_KEY, "1");
  const companyId =
    before.status === "signed-in" ? before.companyId : (rememberedCompany(answer.user.id) ?? answer.customer?.id ?? null);
  // Another tab may choose another company: this one stays with its own over a reload.
  writeStored(COMPANY_KEY, rememberedAs(answer.user.id, companyId), "session");
  if (before.status !== "signed-in" || before.email !== answer.user.email) {
    session.set({ status: "signed-in", userId: answer.user.id, email: answer.user.email, companyId });
  }
}

/** Returns the token for a call, renewed if it ends soon; null when nobody is signed in. */
export async function currentToken(): Promise<string | null> {
  if (accessToken !== null && Date.now() < expiresAt - RENEWAL_MARGIN_MS) return accessToken;
  return session.get().status === "signed-in" ? refresh() : null;
}

/** Renews a token that was refused, once for all calls that met the refusal. Null when the session has ended. */
export function renewToken(refused: string): Promise<string | null> {
  return accessToken !== null && accessToken !== refused ? Promise.resolve(accessToken) : refresh();
}

/** Ends the session here and in the other tabs. */
export function endSession(): void {
  forget(false);
  otherTabs.postMessage("signed-out");
}

/** Acts for another company from now on. */
export function chooseCompany(companyId: string | null): void {
  const state = session.get();
  if (state.status !== "signed-in") return;
  const remembered = rememberedAs(state.userId, companyId);
  writeStored(COMPANY_KEY, remembered);
  writeStored(COMPANY_KEY, remembered, "session");
  session.set({ ...state, companyId });
}

function rememberedAs(userId: string, companyId: string | null): string | null {
  return companyId === null ? null : `${userId} ${companyId}`;
}

/** The company that this tab had, else the one that was chosen last in this browser. */
function rememberedCompany(userId: string): string | null {
  for (const area of ["session", "local"] as const) {
    const [user, company] = (readStored(COMPANY_KEY, area) ?? "").split(" ");
    if (user === userId && company) return company;
  }
  return null;
}

function forget(hasExpired: boolean, keepHint = false): void {
  accessToken = null;
  expiresAt = 0;
  if (!keepHint) writeStored(HINT_KEY, null);
  session.set({ status: "signed-out", hasExpired });
}

function refresh(): Promise<string | null> {
  pending ??= withLock(exchangeToken).finally(() => {
    pending = null;
  });
  return pending;
}

/** The tabs of one browser share the cookie, so they take turns: the second one finds the cookie that the first one got. */
function withLock(task: () => Promise<string | null>): Promise<string | null> {
  // Absent outside of HTTPS and localhost.
  const locks = (navigator as { locks?: LockManager | null }).locks ?? null;
  return locks === null ? task() : locks.request(REFRESH_LOCK, task).then((token) => token);
}

async function exchangeToken(): Promise<string | null> {
  const response = await callRefresh();
  if (response.ok) {
    const body = (await response.json()) as { data: ServerSession };
    adoptSession(body.data);
    return accessToken;
  }
  const error = await errorOf(response);
  if (error.isTransient || error.status >= 500) throw error;
  forget(session.get().status === "signed-in");
  return null;
}

async function callRefresh(): Promise<Response> {
  try {
    // eslint-disable-next-line no-restricted-globals -- The client of client.ts calls this function.
    return await fetch("/api/v1/auth/refresh", { headers: SESSION_HEADERS, method: "POST", credentials: "same-origin" });
  } catch (cause) {
    throw new ApiError(0, "offline", "the server was not reached", { cause });
  }
}
