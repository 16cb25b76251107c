import { zodResolver } from "@hookform/resolvers/zod";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { CreditCard } from "lucide-react";
import { useForm } from "react-hook-form";
import { z } from "zod";

import { call, client } from "@/api/client";
import { FormError } from "@/layout/form-error";
import { LoadMore } from "@/layout/load-more";
import { Page } from "@/layout/page";
import { EmptyState, ErrorState, LoadingState } from "@/layout/states";
import { showDone } from "@/layout/toasts";
import { showFieldErrors } from "@/lib/forms";
import { planName } from "@/pages/settings/plan-names";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card, CardContent } from "@/ui/card";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";

import { useAdminFormat } from "./format";
import { type UnassignedSubscription, unassignedQuery } from "./queries";

/** Paid subscriptions that belong to no user here, each with the way to assign it. */
export function SubscriptionsPage() {
  const { admin } = useTexts("admin");
  const list = useInfiniteQuery(unassignedQuery);
  const items = list.data?.pages.flatMap(({ data }) => data) ?? [];
  return (
    <Page title={admin.subscriptions} lead={admin.subscriptionsLead}>
      {list.isPending && <LoadingState />}
      {list.isError && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
      {list.isSuccess && items.length === 0 && (
        <EmptyState icon={CreditCard} title={admin.noSubscriptions}>
          <p>{admin.noSubscriptionsHint}</p>
        </EmptyState>
      )}
      <ul className="grid gap-4">
        {items.map((subscription) => (
          <SubscriptionItem key={subscription.id} subscription={subscription} />
        ))}
      </ul>
      <LoadMore list={list} />
    </Page>
  );
}

function SubscriptionItem({ subscription }: { subscription: UnassignedSubscription }) {
  const all = useTexts("admin", "settings");
  const { admin, settings } = all;
  const format = useAdminFormat();
  const { current_period_end: end, user_id: named } = subscription;
  return (
    <li>
      <Card>
        <CardContent className="grid gap-4 md:grid-cols-2">
          <div className="grid content-start gap-1 text-sm">
            <p className="flex flex-wrap items-center gap-2 font-medium">
              {planName(subscription.plan, all)} <Badge>{settings.plan.statuses[subscription.status] ?? subscription.status}</Badge>
            </p>
            <p>
              {admin.startedAt(format.date(subscription.started_at))}
              {end && `, ${admin.paidUntilAt(format.date(end))}`}
            </p>
            <p className="font-mono text-xs break-all text-muted-foreground">
              {[subscription.id, subscription.stripe_customer_id, subscription.price_id].filter(Boolean).join(" · ")}
            </p>
            {named && <p className="break-all text-muted-foreground">{admin.namedUser(named)}</p>}
          </div>
          <AssignForm subscriptionId={subscription.id} />
        </CardContent>
      </Card>
    </li>
  );
}

function AssignForm({ subscriptionId }: { subscriptionId: string }) {
  const { admin } = useTexts("admin");
  const queries = useQueryClient();
  const form = useForm({ resolver: zodResolver(z.object({ user_id: z.guid(admin.userIdInvalid) })), defaultValues: { user_id: "" } });
  const assign = useMutation({
    mutationFn: async ({ user_id }: { user_id: string }) =>
      (await call(client.POST("/api/v1/admin/subscriptions/assign", { body: { subscription_id: subscriptionId, user_id } }))).data,
    onSuccess: async () => {
      showDone(admin.assigned);
      await queries.invalidateQueries({ queryKey: ["admin"] });
    },
    onError: (error) => showFieldErrors(form, error),
    meta: { showsError: true },
  });
  return (
    <form noValidate className="grid gap-3" onSubmit={(event) => void form.handleSubmit((values) => assign.mutate(values))(event)}>
      <Field label={admin.userId} hint={admin.userIdHint} error={form.formState.errors.user_id?.message}>
        {(control) => <Input {...control} autoComplete="off" spellCheck={false} className="font-mono" {...form.register("user_id", { setValueAs: trimmed })} />}
      </Field>
      <FormError error={assign.error} />
      <Button type="submit" className="justify-self-start" isBusy={assign.isPending}>
        {admin.assign}
      </Button>
    </form>
  );
}

const trimmed = (value: unknown) => (typeof value === "string" ? value.trim() : value);
