/**
 * Starts what the browser tests need, once for all of them: a local stack on a data folder of its own, which builds and
 * serves the console with the headers of production. `LISA_BIN` names a built program; without it, cargo builds one.
 * `CONSOLE_URL` with `LISA_DATA` name a console and its stack that run already, and `RECEIVER_PORT` the port of this machine
 * that the stack calls as https://hooks.example.com (OUTBOUND_LOCAL_SITES).
 */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    url: string;
    data: string;
    /** The port on which a test may receive webhooks that are sent to https://hooks.example.com. */
    receiverPort: number;
  }
}

/** The first start installs a Python environment and builds the console. */
const START_TIMEOUT_MS = 280_000;

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { CONSOLE_URL: url, LISA_DATA: data } = process.env;
  const receiverPort = Number(process.env["RECEIVER_PORT"] ?? (await freePort()));
  project.provide("receiverPort", receiverPort);
  if (url !== undefined && data !== undefined) {
    project.provide("url", url);
    project.provide("data", data);
    return () => Promise.resolve();
  }
  const folder = mkdtempSync(join(tmpdir(), "lisa-console-"));
  const port = await freePort();
  const stack = startStack(port, folder, receiverPort);
  const api = `http://127.0.0.1:${port}`;
  await untilHealthy(api, stack);
  project.provide("url", api);
  project.provide("data", folder);
  return async () => {
    await stopStack(stack);
    rmSync(folder, { recursive: true, force: true });
  };
}

function startStack(port: number, folder: string, receiverPort: number): ChildProcess {
  const args = ["dev", "--quiet", "--no-model", "--port", String(port), "--data", folder];
  const program = process.env["LISA_BIN"];
  // All tests come from one address, and a load of a page is a call without a token: the usual limits would slow them down.
  const limits = { RATE_LIMIT_ADDRESS: "10000", RATE_LIMIT_USER: "10000", RATE_LIMIT_SIGN_IN: "1000" };
  const env = { ...process.env, ...limits, OUTBOUND_LOCAL_SITES: `hooks.example.com=127.0.0.1:${receiverPort}` };
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
