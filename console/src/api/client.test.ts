// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { client, paymentRequired } from "./client";
import { ApiError } from "./errors";
import { retryDelay } from "./queries";
import { adoptSession, endSession, session } from "./session";

const user = { id: "38fdfe25-0d1f-4d44-ac5c-2f9e80d638c6", email: "awa@example.com", created_at: "2026-11-29T12:00:00Z" };
const customer = { id: "875b1d51-a41c-424f-95bb-9d39579ffaeb", company_id: "awa", name: "Awa", created_at: "2026-11-29T12:00:00Z" };
const tokens = (access_token: string) => ({ user, customer, access_token, refresh_token: "", token_type: "bearer", expires_in: 3600 });
const json = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json", ...headers } });
const refusal = (status: number, code: string, headers?: Record<string, string>) =>
  json(status, { success: false, error: { code, message: code, request_id: "req-1", details: null } }, headers);

const network = vi.fn<(path: string, headers: Headers) => Promise<Response>>();

beforeEach(() => {
  vi.stubGlobal("fetch", (input: Request | string, init?: RequestInit) => {
    const request = typeof input === "string" ? new Request(new URL(input, window.location.origin), init) : input;
    return network(new URL(request.url).pathname, request.headers);
  });
  adoptSession(tokens("first"));
});

afterEach(() => {
  endSession();
  paymentRequired.set(null);
  network.mockReset();
  vi.unstubAllGlobals();
});

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => {
      throw new Error("the call succeeded");
    },
    (error: unknown) => error as ApiError,
  );

it("sends the token and the company", async () => {
  network.mockResolvedValue(json(200, { data: {} }));
  await client.GET("/api/v1/context");
  const [, headers] = network.mock.calls[0] ?? [];
  expect(headers?.get("authorization")).toBe("Bearer first");
  expect(headers?.get("x-customer-id")).toBe(customer.id);
});

it("shows an invitation without a token, to somebody who is not signed in", async () => {
  endSession();
  network.mockResolvedValue(json(200, { data: {} }));
  await client.POST("/api/v1/auth/invitations/lookup", { body: { invitation: "inv_1" } });
  const [path, headers] = network.mock.calls[0] ?? [];
  expect(path).toBe("/api/v1/auth/invitations/lookup");
  expect(headers?.has("authorization")).toBe(false);
});

it("renews a refused token once for all calls that met the refusal, and repeats them", async () => {
  network.mockImplementation((path, headers) => {
    if (path === "/api/v1/auth/refresh") return Promise.resolve(json(200, { data: tokens("second") }));
    return Promise.resolve(headers.get("authorization") === "Bearer second" ? json(200, { data: {} }) : refusal(401, "token_expired"));
  });
  const answers = await Promise.all([client.GET("/api/v1/context"), client.GET("/api/v1/quota/status")]);
  expect(answers.map(({ response }) => response.status)).toEqual([200, 200]);
  expect(network.mock.calls.filter(([path]) => path === "/api/v1/auth/refresh")).toHaveLength(1);
});

it("signs out when the session has ended, and says so", async () => {
  network.mockImplementation(() => Promise.resolve(refusal(401, "unauthorized")));
  const error = await failure(client.GET("/api/v1/context"));
  expect(error.status).toBe(401);
  expect(session.get()).toEqual({ status: "signed-out", hasExpired: true });
});

it("keeps the session when the refresh finds no server", async () => {
  network.mockImplementation((path) =>
    path === "/api/v1/auth/refresh" ? Promise.reject(new TypeError("network")) : Promise.resolve(refusal(401, "token_expired")),
  );
  const error = await failure(client.GET("/api/v1/context"));
  expect(error.isOffline).toBe(true);
  expect(session.get().status).toBe("signed-in");
});

it("does not renew for a refused sign-in", async () => {
  network.mockResolvedValue(refusal(401, "invalid_credentials"));
  const error = await failure(client.POST("/api/v1/auth/login", { body: { email: "a@example.com", password: "x" } }));
  expect(error.code).toBe("invalid_credentials");
  expect(network).toHaveBeenCalledTimes(1);
  expect(network.mock.calls[0]?.[1].get("authorization")).toBeNull();
});

it("sends nothing without a token", async () => {
  endSession();
  expect((await failure(client.GET("/api/v1/context"))).status).toBe(401);
  expect(network).not.toHaveBeenCalled();
});

it("remembers a 402 for the layout", async () => {
  network.mockResolvedValue(refusal(402, "quota_exceeded"));
  await failure(client.POST("/api/v1/query", { body: { question: "?" } }));
  expect(paymentRequired.get()?.code).toBe("quota_exceeded");
});

it("reads when a retry is worth it", async () => {
  network.mockResolvedValue(refusal(429, "rate_limited", { "retry-after": "7" }));
  const error = await failure(client.GET("/api/v1/context"));
  expect(error.retryAfterS).toBe(7);
  expect(retryDelay(0, error)).toBe(7000);
  expect(retryDelay(2, new ApiError(503, "unavailable", ""))).toBe(4000);
});

it("names the answer of a proxy that is no JSON", async () => {
  network.mockResolvedValue(new Response("<h1>Bad gateway</h1>", { status: 502, headers: { "x-request-id": "edge-9" } }));
  const error = await failure(client.GET("/api/v1/context"));
  expect([error.code, error.requestId, error.isTransient]).toEqual(["unreadable", "edge-9", true]);
});
