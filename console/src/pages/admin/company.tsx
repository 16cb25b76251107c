import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";

import { call, client } from "@/api/client";
import { Page } from "@/layout/page";
import { ErrorState, LoadingState } from "@/layout/states";
import { showDone } from "@/layout/toasts";
import { planName } from "@/pages/settings/plan-names";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";
import { CopyButton } from "@/ui/copy-button";
import { ConfirmDialog } from "@/ui/dialog";

import { useAdminFormat } from "./format";
import { type CompanyRecord, companyQuery } from "./queries";
import { StatusBadge } from "./status-badge";

const route = getRouteApi("/admin/companies/$id");

/** One company: its plan, its usage, and its suspension. */
export function CompanyPage() {
  const { admin } = useTexts("admin");
  const { id } = route.useParams();
  const company = useQuery(companyQuery(id));
  return (
    <Page
      title={company.data?.name ?? admin.name}
      lead={
        <Link to="/admin/companies" className="text-primary underline underline-offset-4">
          {admin.back}
        </Link>
      }
      actions={company.data && company.data.status !== "deleted" && <SuspensionButton company={company.data} />}
    >
      {company.isPending && <LoadingState />}
      {company.isError && <ErrorState error={company.error} onRetry={() => void company.refetch()} />}
      {company.data && <Details company={company.data} />}
    </Page>
  );
}

function SuspensionButton({ company }: { company: CompanyRecord }) {
  const { admin } = useTexts("admin");
  const queries = useQueryClient();
  const [isAsking, setAsking] = useState(false);
  const isSuspended = company.status === "suspended";
  const change = useMutation({
    mutationFn: async () => {
      const params = { path: { id: company.id } };
      return isSuspended
        ? (await call(client.POST("/api/v1/admin/customers/{id}/unsuspend", { params }))).data
        : (await call(client.POST("/api/v1/admin/customers/{id}/suspend", { params }))).data;
    },
    onSuccess: async (record) => {
      queries.setQueryData(companyQuery(company.id).queryKey, record);
      showDone(isSuspended ? admin.unsuspended : admin.suspended);
      await queries.invalidateQueries({ queryKey: ["admin", "companies"] });
    },
    onSettled: () => setAsking(false),
  });
  return (
    <>
      <Button variant="outline" onClick={() => setAsking(true)}>
        {isSuspended ? admin.unsuspend : admin.suspend}
      </Button>
      {isAsking && (
        <ConfirmDialog
          title={isSuspended ? admin.unsuspendTitle : admin.suspendTitle}
          text={isSuspended ? admin.unsuspendText(company.name) : admin.suspendText(company.name)}
          confirm={isSuspended ? admin.unsuspend : admin.suspend}
          isBusy={change.isPending}
          onConfirm={() => change.mutate()}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  );
}

function Details({ company }: { company: CompanyRecord }) {
  const all = useTexts("admin", "settings");
  const { admin, settings } = all;
  const format = useAdminFormat();
  const { suspended_at: suspendedAt, deleted_at: deletedAt, current_period_end: paidUntil, usage } = company;
  const facts: [string, string][] = [
    [admin.owner, company.owner_email],
    [admin.plan, planName(company.plan, all)],
    [admin.subscription, settings.plan.statuses[company.subscription_status] ?? company.subscription_status],
    ...(paidUntil ? ([[admin.paidUntil, format.date(paidUntil)]] as [string, string][]) : []),
    [admin.collection, admin.collections[company.collection] ?? company.collection],
    [admin.currency, company.currency],
    [admin.timezone, company.timezone],
    [admin.created, format.dateTime(company.created_at)],
  ];
  return (
    <>
      {suspendedAt && <Alert variant="warning">{admin.suspendedSince(format.dateTime(suspendedAt))}</Alert>}
      {deletedAt && <Alert variant="destructive">{admin.deletedSince(format.dateTime(deletedAt))}</Alert>}
      <Card>
        <CardHeader>
          <CardTitle>{admin.name}</CardTitle>
          <StatusBadge status={company.status} />
        </CardHeader>
        <CardContent className="grid gap-4">
          <Facts facts={facts} />
          <div className="grid gap-2 border-t pt-4">
            <Identifier label={admin.identifier} value={company.company_id} />
            <Identifier label={admin.ownerId} value={company.owner_id} />
          </div>
        </CardContent>
      </Card>
      <Card>
        <CardHeader>
          <CardTitle>{admin.usage(format.day(usage.month))}</CardTitle>
        </CardHeader>
        <CardContent>
          <Facts
            facts={[
              [admin.figures.requests, format.number(usage.requests)],
              [admin.figures.messages, format.number(usage.messages)],
              [admin.figures.conversations, format.number(usage.conversations)],
              [admin.figures.orders, format.number(usage.orders)],
              [admin.figures.cost, format.moneyOfMicros(usage.cost_micros)],
              [admin.figures.tokens, format.number(usage.tokens)],
              [admin.figures.documents, format.number(usage.documents)],
              [admin.figures.bytes, format.bytes(usage.document_bytes)],
              [admin.figures.members, format.number(usage.members)],
            ]}
          />
        </CardContent>
      </Card>
    </>
  );
}

function Facts({ facts }: { facts: readonly [string, string][] }) {
  return (
    <dl className="grid gap-x-6 gap-y-3 text-sm sm:grid-cols-2 lg:grid-cols-4">
      {facts.map(([label, value]) => (
        <div key={label} className="min-w-0">
          <dt className="text-muted-foreground">{label}</dt>
          <dd className="font-medium break-words">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Identifier({ label, value }: { label: string; value: string }) {
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1 text-sm">
      <span className="text-muted-foreground">{label}</span>
      <code className="min-w-0 break-all">{value}</code>
      <CopyButton text={value} label={label} />
    </div>
  );
}
