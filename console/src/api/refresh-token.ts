/**
 * The refresh token of a back end that does not yet keep it in the cookie `lisa_refresh`.
 * To be deleted with its two uses in session.ts once `X-Session: cookie` has landed.
 */
import { readStored, writeStored } from "@/lib/storage";

const KEY = "lisa.refresh";

export function keepRefreshToken(token: string | undefined): void {
  if (token !== undefined) writeStored(KEY, token, "session");
}

export function keptRefreshToken(): string | null {
  return readStored(KEY, "session");
}

export function dropRefreshToken(): void {
  writeStored(KEY, null, "session");
}
