import { queryOptions, useQuery } from "@tanstack/react-query";
import { createContext, useContext, useMemo } from "react";

import { call, client, type Schemas } from "@/api/client";
import { createFormat, type Format } from "@/lib/format";
import { useLanguage } from "@/texts";

/** Roles in a company: an owner may do everything, a support user reads and handles conversations. */
export type Role = "owner" | "support";

type Context = Schemas["Context"];

/** The user, the company, its plan, its quota and the bot's mode, of `GET /context`. */
export const contextQuery = queryOptions({
  queryKey: ["context"],
  queryFn: async ({ signal }) => (await call(client.GET("/api/v1/context", { signal }))).data,
});

export function useContextQuery() {
  return useQuery(contextQuery);
}

const CompanyContext = createContext<Context | null>(null);

/** Gives the pages below it the loaded context. */
export const CompanyProvider = CompanyContext.Provider;

/** The company's context, inside of the layout. */
export function useCompany(): Context {
  const context = useContext(CompanyContext);
  if (context === null) throw new Error("useCompany is for pages inside of the layout");
  return context;
}

/** True for an owner: what only owners may do is not shown to others. */
export function useIsOwner(): boolean {
  return useCompany().user.role === "owner";
}

/** Formats in the reader's language with the company's currency and timezone; outside of a company, in UTC. */
export function useFormat(): Format {
  const language = useLanguage();
  const tenant = useContext(CompanyContext)?.tenant;
  const currency = tenant?.currency ?? "USD";
  const timezone = tenant?.timezone ?? "UTC";
  return useMemo(() => createFormat({ language, currency, timezone }), [language, currency, timezone]);
}
