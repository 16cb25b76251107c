/** The one client of the API: types from openapi.json, and one place for 401, 402, 403, 429, 503 and no network. */
import createClient from "openapi-fetch";

import { createStore } from "@/lib/store";

import { ApiError, errorOf } from "./errors";
import type { components, paths } from "./schema";
import { currentToken, renewToken, session } from "./session";

export type Schemas = components["schemas"];

/** The last 402, which the layout shows until it is dismissed or a plan is bought. */
export const paymentRequired = createStore<ApiError | null>(null);

/** Routes that take no access token. A 401 of theirs is the answer to a form, not the end of a session. */
const WITHOUT_TOKEN = /^\/api\/v1\/(auth\/(login|signup|refresh|forgot|password-reset|invitations\/lookup)|plans)$/;

/** The header `X-Customer-Id` of a call that names no company although one is chosen, such as to restore another one. */
export const NO_COMPANY = "none";

export const client = createClient<paths>({
  baseUrl: window.location.origin,
  credentials: "same-origin",
  fetch: send,
});

/** Awaits a call of the client and returns its data; failures are thrown as {@link ApiError} by `send`. */
export async function call<T>(answer: Promise<{ data?: T; response: Response }>): Promise<NonNullable<T>> {
  const { data, response } = await answer;
  if (data === undefined || data === null) {
    throw new ApiError(response.status, "unreadable", "the answer is empty", { requestId: response.headers.get("x-request-id") });
  }
  return data;
}

/** Awaits a call without a body in its answer (204). */
export async function callEmpty(answer: Promise<unknown>): Promise<void> {
  await answer;
}

/**
 * Sends a request of the API with the token and the company. A refused token is renewed once. Every other answer than
 * 2xx and 304 is thrown as an {@link ApiError}. Also for what openapi-fetch cannot do: streams and files.
 */
export async function send(request: Request): Promise<Response> {
  const again = request.clone();
  const needsToken = !WITHOUT_TOKEN.test(new URL(request.url).pathname);
  const token = needsToken ? await currentToken() : null;
  // A page that is being left may still ask; without a token the answer is known.
  if (needsToken && token === null) throw new ApiError(401, "unauthorized", "nobody is signed in");
  // The server explains failures of documents in the language that was chosen here, not in the browser's.
  request.headers.set("accept-language", document.documentElement.lang);
  again.headers.set("accept-language", document.documentElement.lang);
  let response = await deliver(authorized(request, token));
  if (response.status === 401 && token !== null) {
    const renewed = await renewToken(token);
    if (renewed !== null) response = await deliver(authorized(again, renewed));
  }
  if (response.ok || response.status === 304) return response;
  const error = await errorOf(response);
  if (error.status === 402) paymentRequired.set(error);
  throw error;
}

function authorized(request: Request, token: string | null): Request {
  if (token === null) return request;
  request.headers.set("authorization", `Bearer ${token}`);
  const state = session.get();
  if (request.headers.get("x-customer-id") === NO_COMPANY) {
    request.headers.delete("x-customer-id");
    return request;
  }
  const isCompanyRoute = !/^\/api\/v1\/(admin|auth|profiles)\//.test(new URL(request.url).pathname);
  if (state.status === "signed-in" && state.companyId !== null && isCompanyRoute) {
    request.headers.set("x-customer-id", state.companyId);
  }
  return request;
}

async function deliver(request: Request): Promise<Response> {
  try {
    // eslint-disable-next-line no-restricted-globals -- The one place that calls it.
    return await fetch(request);
  } catch (cause) {
    if (request.signal.aborted) throw cause;
    throw new ApiError(0, "offline", "the server was not reached", { cause });
  }
}
