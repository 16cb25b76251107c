import { queryOptions } from "@tanstack/react-query";

import { call, client } from "@/api/client";
import { ApiError } from "@/api/errors";

/** What an invitation offers. The token goes in the body, so that it is in no address and no log. */
export const invitationQuery = (invitation: string) =>
  queryOptions({
    queryKey: ["invitation", invitation],
    queryFn: async ({ signal }) => (await call(client.POST("/api/v1/auth/invitations/lookup", { body: { invitation }, signal }))).data,
    // An open invitation does not change; one that has ended is told at its use.
    staleTime: Infinity,
  });

/** Why an invitation cannot be used: the API's code, or `unknown` for a token that no invitation has. */
export type InvitationEnd = "used" | "revoked" | "expired" | "unknown";

const ENDS: Record<string, InvitationEnd> = {
  invitation_used: "used",
  invitation_revoked: "revoked",
  invitation_expired: "expired",
  not_found: "unknown",
};

/** Reads from a failed look-up why and when the invitation ended; null for a failure that says nothing of the invitation. */
export function readEnd(error: unknown): { end: InvitationEnd; endedAt: string | null } | null {
  const end = error instanceof ApiError ? ENDS[error.code] : undefined;
  if (end === undefined) return null;
  const endedAt = ((error as ApiError).details as { ended_at?: unknown } | null)?.ended_at;
  return { end, endedAt: typeof endedAt === "string" ? endedAt : null };
}

/** True when a sign-up or an acceptance was refused because of its invitation. */
export const isInvitationRefused = (error: unknown): boolean =>
  error instanceof ApiError && error.fieldErrors.some(({ field }) => field === "invitation");
