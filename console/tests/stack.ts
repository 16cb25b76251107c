/**
 * Starts what the browser tests need, once for all of them: a local stack, which builds and serves the console with the
 * headers of production, and a browser. `LISA_BIN` names a built program; without it, cargo builds one. `CONSOLE_URL` with
 * `LISA_DATA` name a console and its stack that run already, and `RECEIVER_PORT` the port of this machine that the stack
 * calls as https://hooks.example.com (OUTBOUND_LOCAL_SITES).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

import { chromium } from "playwright-core";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    url: string;
    data: string;
    /** The port on which a test may receive webhooks that are sent to https://hooks.example.com. */
    receiverPort: number;
    /** The address by which each test file reaches the one browser. */
    browser: string;
  }
}

const ROOT = join(import.meta.dirname, "../..");
/** Data folder of the stack, cleared at each start except for the Python environment of the stack's servers. */
const DATA = join(ROOT, "target/console-e2e");
/** The first start may install that environment and the console's libraries, and each change builds the console. */
const START_TIMEOUT_MS = 280_000;
const STOP_TIMEOUT_MS = 20_000;

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { CONSOLE_URL: url, LISA_DATA: data } = process.env;
  const receiverPort = Number(process.env["RECEIVER_PORT"] ?? (await freePort()));
  const isRunning = url !== undefined && data !== undefined;
  const stack = isRunning ? { url, data, stop: () => Promise.resolve() } : await startStack(receiverPort);
  const browser = await chromium.launchServer({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium" });
  project.provide("url", stack.url);
  project.provide("data", stack.data);
  project.provide("browser", browser.wsEndpoint());
  project.provide("receiverPort", receiverPort);
  return async () => {
    await browser.close();
    await stack.stop();
  };
}

async function startStack(receiverPort: number) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const stack = run(["dev", "--quiet", "--no-model", "--reset", "--port", String(port), "--data", DATA], {
    // All tests come from one address, and a load of a page is a call without a token: the usual limits would refuse them.
    RATE_LIMIT_ADDRESS: "100000",
    RATE_LIMIT_USER: "10000",
    RATE_LIMIT_SIGN_IN: "10000",
    OUTBOUND_LOCAL_SITES: `hooks.example.com=127.0.0.1:${receiverPort}`,
  });
  await untilHealthy(url, stack);
  await checkConsole(url);
  return { url, data: DATA, stop: () => stop(stack) };
}

function run(args: string[], settings: Record<string, string>): ChildProcess {
  const program = process.env["LISA_BIN"];
  const env = { ...process.env, ...settings };
  const stack =
    program === undefined ? spawn("cargo", args, { cwd: ROOT, stdio: "inherit", env }) : spawn(program, args, { stdio: "inherit", env });
  // An interrupted run does not come to its teardown.
  process.once("exit", () => stack.kill("SIGTERM"));
  return stack;
}

async function untilHealthy(url: string, stack: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    if (stack.exitCode !== null) throw new Error(`the stack ended with ${stack.exitCode}`);
    const isUp = await fetch(`${url}/health`).then(
      (response) => response.ok,
      () => false,
    );
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  stack.kill("SIGTERM");
  throw new Error("the stack did not start in time");
}

/** A stack serves the console of the folder where its program was built. */
async function checkConsole(url: string): Promise<void> {
  const served = await (await fetch(`${url}/sign-in`)).text();
  if (served !== readFileSync(join(ROOT, "console/dist/index.html"), "utf8")) {
    throw new Error(`the stack serves another console than ${ROOT}/console: build the program in this folder`);
  }
}

function stop(stack: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => stack.kill("SIGKILL"), STOP_TIMEOUT_MS);
    stack.once("exit", () => {
      clearTimeout(timer);
      resolve();
    });
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
