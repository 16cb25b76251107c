import type { components } from "./schema";

type ErrorDetail = components["schemas"]["ErrorDetail"];

/** One value that the server refused. */
export interface FieldError {
  field: string;
  message: string;
  /** The line of an imported file. */
  line?: number;
}

/** A refusal of the API, or `offline` (status 0) when no answer came. */
export class ApiError extends Error {
  readonly status: number;
  /** The API's code, such as `quota_exceeded`; `offline` and `unreadable` are the console's own. */
  readonly code: string;
  readonly details: unknown;
  /** The id that support asks for; null when no answer came. */
  readonly requestId: string | null;
  /** Seconds to wait before a retry, when the server says so. */
  readonly retryAfterS: number | null;

  constructor(
    status: number,
    code: string,
    message: string,
    more: { details?: unknown; requestId?: string | null; retryAfterS?: number | null; cause?: unknown } = {},
  ) {
    super(message, { cause: more.cause });
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.details = more.details ?? null;
    this.requestId = more.requestId ?? null;
    this.retryAfterS = more.retryAfterS ?? null;
  }

  get isOffline(): boolean {
    return this.status === 0;
  }

  /** True when the same call may succeed later without a change. */
  get isTransient(): boolean {
    return this.isOffline || this.status === 429 || this.status === 502 || this.status === 503 || this.status === 504;
  }

  /** The refused values of a 422, also those of an imported file's rows; empty for other errors. */
  get fieldErrors(): FieldError[] {
    const rows = (this.details as { rows?: unknown } | null)?.rows;
    const refused = Array.isArray(this.details) ? this.details : rows;
    return Array.isArray(refused) ? refused.filter(isFieldError) : [];
  }
}

function isFieldError(value: unknown): value is FieldError {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as { field?: unknown }).field === "string" &&
    typeof (value as { message?: unknown }).message === "string"
  );
}

/** Reads the error of an answer that is not 2xx. A proxy's page instead of the API's JSON gives the code `unreadable`. */
export async function errorOf(response: Response): Promise<ApiError> {
  const requestId = response.headers.get("x-request-id");
  const retryAfterS = secondsOf(response.headers.get("retry-after"));
  const body = await readErrorBody(response);
  if (body === null) {
    return new ApiError(response.status, "unreadable", `HTTP ${response.status}`, { requestId, retryAfterS });
  }
  return new ApiError(response.status, body.code, body.message, {
    details: body.details,
    requestId: body.request_id || requestId,
    retryAfterS,
  });
}

async function readErrorBody(response: Response): Promise<ErrorDetail | null> {
  try {
    const body = (await response.json()) as { error?: ErrorDetail } | null;
    return typeof body?.error?.code === "string" ? body.error : null;
  } catch {
    return null;
  }
}

function secondsOf(header: string | null): number | null {
  const seconds = Number(header);
  return header !== null && Number.isFinite(seconds) && seconds >= 0 ? seconds : null;
}
