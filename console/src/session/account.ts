/** The account of a company, also of a deleted one. Only its owners may ask. */
import { queryOptions } from "@tanstack/react-query";

import { call, client, NO_COMPANY } from "@/api/client";

/** The header of a call about the chosen company, or about the caller's own one that is deleted while another is chosen. */
export const companyHeader = (isOther: boolean): { "X-Customer-Id"?: string } => (isOther ? { "X-Customer-Id": NO_COMPANY } : {});

export const accountQuery = (isOther: boolean) =>
  queryOptions({
    queryKey: ["account", isOther ? "other" : "chosen"],
    queryFn: async ({ signal }) => (await call(client.GET("/api/v1/privacy/account", { params: { header: companyHeader(isOther) }, signal }))).data,
  });
