import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Building2, Search } from "lucide-react";
import { type SubmitEvent, useId } from "react";

import { LoadMore } from "@/layout/load-more";
import { Page } from "@/layout/page";
import { EmptyState, ErrorState, LoadingState } from "@/layout/states";
import { planName } from "@/pages/settings/plan-names";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Input, Select } from "@/ui/input";

import { useAdminFormat } from "./format";
import { type CompanySummary, companiesQuery } from "./queries";
import { StatusBadge } from "./status-badge";

const route = getRouteApi("/admin/companies");

/** Every company, to find one. */
export function CompaniesPage() {
  const { admin } = useTexts("admin");
  const { search, status } = route.useSearch();
  const list = useInfiniteQuery(companiesQuery(search, status));
  const items = list.data?.pages.flatMap(({ data }) => data) ?? [];
  const total = list.data?.pages[0]?.meta.total;
  return (
    <Page title={admin.companies} lead={admin.companiesLead}>
      <Filters key={search ?? ""} />
      {list.isPending && <LoadingState />}
      {list.isError && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
      {list.isSuccess && items.length === 0 && (
        <EmptyState icon={Building2} title={admin.noCompanies}>
          <p>{admin.noCompaniesHint}</p>
        </EmptyState>
      )}
      {items.length > 0 && (
        <>
          {typeof total === "number" && (
            <p role="status" className="text-sm text-muted-foreground">
              {admin.found(total)}
            </p>
          )}
          <Card>
            <ul className="divide-y">
              {items.map((company) => (
                <CompanyItem key={company.id} company={company} />
              ))}
            </ul>
          </Card>
          <LoadMore list={list} />
        </>
      )}
    </Page>
  );
}

function Filters() {
  const { admin, common } = useTexts("admin");
  const { search, status } = route.useSearch();
  const navigate = route.useNavigate();
  const id = useId();
  const submit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const value = new FormData(event.currentTarget).get("search");
    void navigate({ search: (before) => ({ ...before, search: typeof value === "string" && value.trim() !== "" ? value.trim() : undefined }) });
  };
  return (
    <form role="search" className="flex flex-wrap items-end gap-3" onSubmit={submit}>
      <div className="grid min-w-0 flex-1 basis-64 gap-1.5">
        <label htmlFor={`${id}-search`} className="text-sm font-medium">
          {admin.search}
        </label>
        <Input id={`${id}-search`} type="search" name="search" maxLength={200} defaultValue={search ?? ""} />
      </div>
      <div className="grid gap-1.5">
        <label htmlFor={`${id}-status`} className="text-sm font-medium">
          {admin.status}
        </label>
        <Select
          id={`${id}-status`}
          value={status ?? ""}
          onChange={(event) => {
            const chosen = (["active", "suspended", "deleted"] as const).find((known) => known === event.target.value);
            void navigate({ search: (before) => ({ ...before, status: chosen }) });
          }}
        >
          <option value="">{admin.anyStatus}</option>
          {(["active", "suspended", "deleted"] as const).map((known) => (
            <option key={known} value={known}>
              {admin.statuses[known]}
            </option>
          ))}
        </Select>
      </div>
      <Button type="submit" variant="outline">
        <Search aria-hidden /> {common.search}
      </Button>
    </form>
  );
}

function CompanyItem({ company }: { company: CompanySummary }) {
  const all = useTexts("admin", "settings");
  const format = useAdminFormat();
  return (
    <li className="flex flex-wrap items-center justify-between gap-x-6 gap-y-1 px-4 py-3">
      <div className="min-w-0 flex-1 basis-64">
        <p className="flex flex-wrap items-center gap-2">
          <Link to="/admin/companies/$id" params={{ id: company.id }} className="font-medium break-words text-primary underline underline-offset-4">
            <bdi>{company.name}</bdi>
          </Link>
          <StatusBadge status={company.status} />
        </p>
        <p className="text-sm break-all text-muted-foreground">{company.owner_email}</p>
      </div>
      <dl className="flex flex-wrap gap-x-6 gap-y-1 text-sm">
        {[
          [all.admin.plan, planName(company.plan, all)],
          [all.admin.answers, format.number(company.requests_this_month)],
          [all.admin.created, format.date(company.created_at)],
        ].map(([label, value]) => (
          <div key={label}>
            <dt className="text-xs text-muted-foreground">{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </li>
  );
}
