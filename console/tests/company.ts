/** Companies with data for the browser tests, made through the API as another client would. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import type { Page } from "playwright-core";
import { expect, inject } from "vitest";

import { uniqueEmail } from "./browser";

export const PASSWORD = "correct horse battery";
/** The key of the page that the fake ManyChat of the local stack plays. */
const MANYCHAT_KEY = "1001:fake-manychat-key-of-the-first-page";

export interface Account {
  email: string;
  password: string;
  /** Opens a session of its own, as a sign-in does. Returns its refresh token. */
  startSession: () => Promise<string>;
  /** Calls the API as this account and returns `data`; anything but 2xx fails the test. */
  api: <T = unknown>(method: string, path: string, body?: unknown) => Promise<T>;
}

export interface Company extends Account {
  name: string;
  /** Writes to the company as a contact does on WhatsApp. */
  receive: (contact: { id: number; name?: string; phone?: string }, text: string) => Promise<void>;
  /** Uploads a file of at most 4 MiB and waits until it is processed. Returns the document's id. */
  upload: (filename: string, content: Uint8Array | string) => Promise<string>;
}

async function request<T>(method: string, path: string, init: { token?: string; body?: unknown; headers?: Record<string, string> }): Promise<T> {
  const isRaw = init.body instanceof FormData;
  const response = await fetch(`${inject("url")}/api/v1/${path}`, {
    method,
    headers: {
      ...(init.token === undefined ? {} : { authorization: `Bearer ${init.token}` }),
      ...(isRaw ? {} : { "content-type": "application/json" }),
      ...init.headers,
    },
    ...(init.body === undefined ? {} : { body: isRaw ? (init.body as FormData) : JSON.stringify(init.body) }),
  });
  const text = await response.text();
  expect(response.ok, `${method} ${path}: ${response.status} ${text}`).toBe(true);
  return (text === "" ? undefined : (JSON.parse(text) as { data: T }).data) as T;
}

async function account(body: Record<string, unknown>): Promise<Account> {
  const email = String(body["email"]);
  const session = await request<{ access_token: string; refresh_token: string }>("POST", "auth/signup", { body: { ...body, password: PASSWORD } });
  // The first window gets the session of the sign-up; the others one of their own, as a token is good for one exchange.
  let first: string | null = session.refresh_token;
  return {
    email,
    password: PASSWORD,
    startSession: async () => {
      const token = first;
      first = null;
      if (token !== null) return token;
      return (await request<{ refresh_token: string }>("POST", "auth/login", { body: { email, password: PASSWORD } })).refresh_token;
    },
    api: (method, path, content) => request(method, path, { token: session.access_token, body: content }),
  };
}

/** Signs up an owner with a company that is connected to the fake ManyChat. */
export async function createCompany(name = "Comptoir Baobab"): Promise<Company> {
  const owner = await account({ email: uniqueEmail("owner"), company_name: name });
  await owner.api("PATCH", "customers/me", { manychat_api_key: MANYCHAT_KEY });
  const { webhook_secret } = await owner.api<{ webhook_secret: string }>("POST", "customers/me/webhook-secret");
  return {
    ...owner,
    name,
    receive: async (contact, text) => {
      await request("POST", "webhook/manychat", {
        headers: { "x-webhook-secret": webhook_secret },
        body: {
          id: contact.id,
          last_interaction: new Date().toISOString(),
          name: contact.name ?? "",
          whatsapp_phone: contact.phone ?? "",
          last_input_text: text,
        },
      });
    },
    upload: async (filename, content) => {
      const form = new FormData();
      form.set("file", new Blob([typeof content === "string" ? content : new Uint8Array(content)]), filename);
      const { document } = await owner.api<{ document: { id: string } }>("POST", "documents/upload", form);
      await expect
        .poll(async () => (await owner.api<{ status: string }>("GET", `documents/${document.id}`)).status, { timeout: 60_000, interval: 200 })
        .toBe("processed");
      return document.id;
    },
  };
}

/** Adds a support user to the company. */
export async function createSupportUser(company: Company): Promise<Account> {
  const { token } = await company.api<{ token: string }>("POST", "customers/me/invitations", { role: "support" });
  return account({ email: uniqueEmail("support"), invitation: token });
}

/** A contact writes that it wants a person, and is handed over. Returns the conversation's id. */
export async function handOver(company: Company, id: number, name: string): Promise<string> {
  await company.receive({ id, name }, "Je veux parler à un conseiller");
  let found: { id: string; handler: string; display_name: string | null } | undefined;
  await expect
    .poll(
      async () => {
        found = (await company.api<NonNullable<typeof found>[]>("GET", "conversations")).find(({ display_name }) => display_name === name);
        return found?.handler;
      },
      { timeout: 20_000, interval: 100 },
    )
    .toBe("human");
  return found?.id ?? "";
}

/**
 * Opens `path` signed in: the window gets the cookie and the hint that a sign-in leaves. The form itself is tried in
 * session.e2e.ts.
 */
export async function signIn(page: Page, account: Account, path = "/"): Promise<void> {
  const origin = inject("url");
  await page.context().addCookies([
    { name: "lisa_refresh", value: await account.startSession(), domain: new URL(origin).hostname, path: "/api/v1/auth", httpOnly: true, sameSite: "Strict" },
  ]);
  await page.goto("/icon.svg");
  await page.evaluate(() => localStorage.setItem("lisa.has-session", "1"));
  await page.goto(path);
}

/** A file of the repository, such as a sample PDF. */
export const repositoryFile = (path: string) => readFileSync(join(import.meta.dirname, "../..", path));
