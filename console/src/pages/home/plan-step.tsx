import { useMutation, useQuery } from "@tanstack/react-query";

import { call, client, type Schemas } from "@/api/client";
import { ErrorState, LoadingState } from "@/layout/states";
import { useCompany, useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";

import { plansQuery } from "./queries";

const BYTES_PER_MIB = 1_048_576;

/** The plans that can be bought, each with its way to the payment page. */
export function PlanStep() {
  const { start } = useTexts("start");
  const { plan, quota } = useCompany();
  const plans = useQuery(plansQuery);
  if (plan.name !== "free") {
    return <p className="text-sm font-medium text-success">{start.plan.present(start.plan.names[plan.name] ?? plan.name)}</p>;
  }
  const left = Math.max(0, quota.free_quota_limit - quota.free_quota_used);
  return (
    <div className="grid gap-3 text-sm">
      <p className="text-muted-foreground">{start.plan.lead(left)}</p>
      {plans.isPending && <LoadingState rows={2} />}
      {plans.isError && <ErrorState error={plans.error} onRetry={() => void plans.refetch()} />}
      <ul className="grid gap-3 sm:grid-cols-2">
        {plans.data?.filter(({ is_sold }) => is_sold).map((sold) => <PlanCard key={sold.name} plan={sold} />)}
      </ul>
    </div>
  );
}

function PlanCard({ plan }: { plan: Schemas["PublicPlan"] }) {
  const { start } = useTexts("start");
  const format = useFormat();
  const name = start.plan.names[plan.name] ?? plan.name;
  const checkout = useMutation({
    mutationFn: async () => {
      const sold = plan.name === "business" ? "business" : "pro";
      return (await call(client.POST("/api/v1/billing/checkout", { body: { plan: sold } }))).data;
    },
    onSuccess: ({ url }) => window.location.assign(url),
  });
  const terms = [
    plan.monthly_request_limit != null && start.plan.requests(format.number(plan.monthly_request_limit)),
    plan.overage_cents_per_request != null && start.plan.overage(format.moneyOfCents(plan.overage_cents_per_request, plan.currency)),
    start.plan.storage(format.bytes(plan.storage_limit_mb * BYTES_PER_MIB)),
  ].filter((term) => term !== false);
  return (
    <li className="grid content-between gap-3 rounded-md border p-4">
      <div className="grid gap-1">
        <span className="font-semibold">{name}</span>
        <span className="text-base">{start.plan.perMonth(format.moneyOfCents(plan.price_cents, plan.currency))}</span>
        <ul className="text-muted-foreground">
          {terms.map((term) => (
            <li key={term}>{term}</li>
          ))}
        </ul>
      </div>
      <Button isBusy={checkout.isPending} onClick={() => checkout.mutate()}>
        {start.plan.choose(name)}
      </Button>
    </li>
  );
}
