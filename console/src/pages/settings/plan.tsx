import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { useEffect } from "react";

import { call, client } from "@/api/client";
import { FormError } from "@/layout/form-error";
import { contextQuery, useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";

import { planName, planSizeOfMib } from "./plan-names";
import { isPaymentLate, pollInterval } from "./plan-polling";
import { plansQuery, type PublicPlan, type Subscription, subscriptionQuery } from "./queries";
import { Loaded, Section } from "./section";

/** The plan of the company, the plans to choose from, and the way to cards and invoices at Stripe. */
export function PlanSection() {
  const { checkout } = useSearch({ from: "/app/settings/plan" });
  const { subscription, payment } = useSubscription(checkout === "success");
  const plans = useQuery(plansQuery);
  return (
    <Section name="plan">
      {checkout !== undefined && <CheckoutOutcome outcome={checkout} payment={payment} />}
      <Loaded query={subscription}>
        {(current) => (
          <>
            <CurrentPlan subscription={current} />
            <Loaded query={plans}>
              {(list) => (
                <ul className="grid gap-4 md:grid-cols-3">
                  {list.map((plan) => (
                    <PlanCard key={plan.name} plan={plan} subscription={current} />
                  ))}
                </ul>
              )}
            </Loaded>
          </>
        )}
      </Loaded>
    </Section>
  );
}

/** The state of a payment: reported by Stripe, awaited, or awaited no longer. */
type Payment = "paid" | "awaited" | "late";

/** The subscription. After a payment it is polled until Stripe's event has arrived, and what depends on it is renewed. */
function useSubscription(isAwaited: boolean) {
  const queries = useQueryClient();
  const subscription = useQuery({
    ...subscriptionQuery,
    refetchInterval: ({ state }) => (isAwaited ? pollInterval(state) : false),
    // Each poll renders, as the last one changes the text.
    notifyOnChangeProps: "all",
  });
  const hasCome = isAwaited && subscription.data?.is_pro === true;
  useEffect(() => {
    if (hasCome) void queries.invalidateQueries({ queryKey: contextQuery.queryKey });
  }, [hasCome, queries]);
  const state = queries.getQueryState(subscriptionQuery.queryKey);
  const payment: Payment = hasCome ? "paid" : state !== undefined && isPaymentLate(state) ? "late" : "awaited";
  return { subscription, payment };
}

/** The outcome of a visit to Stripe's payment page. */
function CheckoutOutcome({ outcome, payment }: { outcome: "success" | "cancelled"; payment: Payment }) {
  const { settings } = useTexts("settings");
  const text = settings.plan;
  if (outcome === "cancelled") return <Alert>{text.notPaid}</Alert>;
  return (
    <Alert variant={payment === "late" ? "warning" : "success"} role="status">
      {{ paid: text.paid, awaited: text.paidSoon, late: text.paidLate }[payment]}
    </Alert>
  );
}

/** Opens Stripe's page where cards and the plan are changed. */
function PortalButton() {
  const { settings } = useTexts("settings");
  const portal = useMutation({
    mutationFn: async () => (await call(client.POST("/api/v1/billing/portal"))).data,
    onSuccess: ({ url }) => window.location.assign(url),
    meta: { showsError: true },
  });
  return (
    <div className="grid gap-2 justify-items-start">
      <Button variant="outline" isBusy={portal.isPending} onClick={() => portal.mutate()}>
        {settings.plan.portal}
      </Button>
      <FormError error={portal.error} />
    </div>
  );
}

function CurrentPlan({ subscription }: { subscription: Subscription }) {
  const all = useTexts("settings");
  const text = all.settings.plan;
  const format = useFormat();
  const { status, cancel_at: cancelAt, current_period_end: end } = subscription;
  const isTroubled = ["past_due", "incomplete", "unpaid", "paused"].includes(status);
  return (
    <Card>
      <CardHeader>
        <CardTitle>{planName(subscription.plan, all)}</CardTitle>
        <Badge variant={isTroubled ? "warning" : subscription.is_pro ? "success" : "outline"}>{text.statuses[status] ?? status}</Badge>
      </CardHeader>
      <CardContent className="grid gap-3 text-sm">
        {isTroubled && <Alert variant="warning">{text.troubled}</Alert>}
        {cancelAt ? <p>{text.endsAt(format.date(cancelAt))}</p> : end && <p>{text.renewsAt(format.date(end))}</p>}
        {!subscription.is_pro && <p className="text-muted-foreground">{text.freeHint}</p>}
        {subscription.can_open_portal && (
          <>
            <p className="text-muted-foreground">{text.portalHint}</p>
            <PortalButton />
          </>
        )}
      </CardContent>
    </Card>
  );
}

function PlanCard({ plan, subscription }: { plan: PublicPlan; subscription: Subscription }) {
  const all = useTexts("settings");
  const text = all.settings.plan;
  const format = useFormat();
  const isCurrent = plan.name === subscription.plan;
  const limit = plan.monthly_request_limit ?? null;
  const overage = plan.overage_cents_per_request ?? null;
  return (
    <li>
      <Card className="h-full">
        <CardHeader>
          <CardTitle>{planName(plan.name, all)}</CardTitle>
          {isCurrent && <Badge variant="success">{text.yours}</Badge>}
        </CardHeader>
        <CardContent className="grid gap-3">
          <p>
            <span className="text-2xl font-semibold">{format.moneyOfCents(plan.price_cents, plan.currency)}</span>{" "}
            <span className="text-sm text-muted-foreground">{text.perMonth}</span>
          </p>
          <ul className="grid gap-1 text-sm">
            <li>{limit === null ? text.freeRequests : text.requests(format.number(limit))}</li>
            <li>{text.storage(planSizeOfMib(plan.storage_limit_mb, format))}</li>
            {overage !== null && <li>{text.overage(format.moneyOfCents(overage, plan.currency))}</li>}
          </ul>
          {plan.is_sold && !isCurrent && !subscription.is_pro && <BuyButton plan={plan.name} />}
        </CardContent>
      </Card>
    </li>
  );
}

function BuyButton({ plan }: { plan: string }) {
  const all = useTexts("settings");
  const checkout = useMutation({
    mutationFn: async () =>
      (await call(client.POST("/api/v1/billing/checkout", { body: { plan: plan === "business" ? "business" : "pro" } }))).data,
    onSuccess: ({ url }) => window.location.assign(url),
    meta: { showsError: true },
  });
  return (
    <div className="grid gap-2">
      <Button isBusy={checkout.isPending} onClick={() => checkout.mutate()}>
        {all.settings.plan.choose(planName(plan, all))}
      </Button>
      <FormError error={checkout.error} />
    </div>
  );
}
