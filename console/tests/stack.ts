/**
 * Starts what the browser tests need, once for all of them: a local stack on a data folder of its own, and the built console
 * in front of it. `LISA_BIN` names a built program; without it, cargo builds one. `CONSOLE_URL` with `LISA_DATA` name a
 * console and its stack that run already.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { preview } from "vite";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    url: string;
    data: string;
  }
}

const START_TIMEOUT_MS = 170_000;

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { CONSOLE_URL: url, LISA_DATA: data } = process.env;
  if (url !== undefined && data !== undefined) {
    project.provide("url", url);
    project.provide("data", data);
    return () => Promise.resolve();
  }
  const folder = mkdtempSync(join(tmpdir(), "lisa-console-"));
  const port = await freePort();
  const stack = startStack(port, folder);
  const api = `http://127.0.0.1:${port}`;
  await untilHealthy(api, stack);
  process.env["LISA_API"] = api;
  process.env["LISA_UPLOAD_ORIGIN"] = await storageOrigin(api);
  const server = await preview({ preview: { port: await freePort() }, logLevel: "warn" });
  const address = server.resolvedUrls?.local[0];
  if (address === undefined) throw new Error("the console has no address");
  project.provide("url", address.replace(/\/$/, ""));
  project.provide("data", folder);
  return async () => {
    await server.close();
    await stopStack(stack);
    rmSync(folder, { recursive: true, force: true });
  };
}

function startStack(port: number, folder: string): ChildProcess {
  const args = ["dev", "--quiet", "--no-model", "--port", String(port), "--data", folder];
  const program = process.env["LISA_BIN"];
  // All tests come from one address, and a load of a page is a call without a token: the usual limits would slow them down.
  const env = { ...process.env, RATE_LIMIT_ADDRESS: "10000", RATE_LIMIT_USER: "10000", RATE_LIMIT_SIGN_IN: "1000" };
  return program === undefined
    ? spawn("cargo", args, { cwd: join(import.meta.dirname, "../.."), stdio: "inherit", env })
    : spawn(program, args, { stdio: "inherit", env });
}

async function untilHealthy(api: string, stack: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    if (stack.exitCode !== null) throw new Error(`the stack ended with ${stack.exitCode}`);
    const isUp = await fetch(`${api}/health`).then(
      (response) => response.ok,
      () => false,
    );
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error("the stack did not start in time");
}

function stopStack(stack: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    stack.once("exit", () => resolve());
    stack.kill("SIGTERM");
  });
}

/** The origin of the stack's storage, to which large files are uploaded: only an announced upload names it. */
async function storageOrigin(api: string): Promise<string> {
  const post = async <T>(path: string, body: unknown, token?: string): Promise<T> => {
    const headers = { "content-type": "application/json", ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
    const response = await fetch(`${api}/api/v1/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return ((await response.json()) as { data: T }).data;
  };
  const account = { email: `storage-${crypto.randomUUID()}@example.com`, password: crypto.randomUUID(), company_name: "Storage" };
  const session = await post<{ access_token: string }>("auth/signup", account);
  const announcement = { filename: "large.pdf", size_bytes: 5_000_000 };
  const { upload } = await post<{ upload: { url: string } }>("documents/upload", announcement, session.access_token);
  return new URL(upload.url).origin;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => (typeof address === "object" && address !== null ? resolve(address.port) : reject(new Error("no port"))));
    });
  });
}
