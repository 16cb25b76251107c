/** Progress of the steps of the first hour, derived from the company's data. */
import { useQueries } from "@tanstack/react-query";

import { readyDocumentsQuery } from "@/pages/documents/queries";
import { useCompany } from "@/session/company";

import { askedQuery, companyQuery, invitationsQuery, firstMessageQuery, teamQuery } from "./queries";

export const STEPS = ["upload", "ask", "manychat", "invite", "plan"] as const;
export type Step = (typeof STEPS)[number];
export type Progress = Record<Step, boolean>;

/** The state of each step; undefined until all of them are known. */
export function useProgress(): { progress: Progress | undefined; error: Error | null; retry: () => void } {
  const { plan } = useCompany();
  const queries = useQueries({ queries: [readyDocumentsQuery, askedQuery, firstMessageQuery, companyQuery, teamQuery, invitationsQuery] });
  const [documents, asked, message, company, team, invitations] = queries;
  const error = queries.find((query) => query.data === undefined && query.isError)?.error ?? null;
  const retry = () => {
    for (const query of queries) if (query.isError) void query.refetch();
  };
  const isKnown =
    documents.data !== undefined &&
    asked.data !== undefined &&
    message.data !== undefined &&
    company.data !== undefined &&
    team.data !== undefined &&
    invitations.data !== undefined;
  if (!isKnown) return { progress: undefined, error, retry };
  return {
    progress: {
      upload: documents.data > 0,
      ask: asked.data,
      manychat: message.data !== null && company.data.manychat_api_key != null,
      invite: team.data > 1 || invitations.data > 0,
      plan: plan.name !== "free",
    },
    error,
    retry,
  };
}

/** The first step that is to be done; null when all are. */
export function nextStep(progress: Progress): Step | null {
  return STEPS.find((step) => !progress[step]) ?? null;
}
