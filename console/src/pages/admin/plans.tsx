import { useQuery } from "@tanstack/react-query";

import { Page } from "@/layout/page";
import { ErrorState, LoadingState } from "@/layout/states";
import { planName, planSizeOfMib } from "@/pages/settings/plan-names";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";

import { useAdminFormat } from "./format";
import { soldPlansQuery } from "./queries";

/** The plans of the installation, as the companies see them. */
export function PlansPage() {
  const all = useTexts("admin", "settings");
  const { admin, settings } = all;
  const format = useAdminFormat();
  const plans = useQuery(soldPlansQuery);
  return (
    <Page title={admin.plans} lead={admin.plansLead}>
      {plans.isPending && <LoadingState />}
      {plans.isError && <ErrorState error={plans.error} onRetry={() => void plans.refetch()} />}
      <ul className="grid gap-4 md:grid-cols-3">
        {plans.data?.map((plan) => (
          <li key={plan.name}>
            <Card className="h-full">
              <CardHeader>
                <CardTitle>{planName(plan.name, all)}</CardTitle>
                {!plan.is_sold && <Badge variant="outline">{admin.notSold}</Badge>}
              </CardHeader>
              <CardContent className="grid gap-2 text-sm">
                <p className="text-lg font-semibold">
                  {format.moneyOfCents(plan.price_cents, plan.currency)}{" "}
                  <span className="text-sm font-normal text-muted-foreground">{settings.plan.perMonth}</span>
                </p>
                <p>
                  {plan.monthly_request_limit == null
                    ? settings.plan.freeRequests
                    : settings.plan.requests(format.number(plan.monthly_request_limit))}
                </p>
                <p>{settings.plan.storage(planSizeOfMib(plan.storage_limit_mb, format))}</p>
                {plan.overage_cents_per_request != null && (
                  <p>{settings.plan.overage(format.moneyOfCents(plan.overage_cents_per_request, plan.currency))}</p>
                )}
              </CardContent>
            </Card>
          </li>
        ))}
      </ul>
    </Page>
  );
}
