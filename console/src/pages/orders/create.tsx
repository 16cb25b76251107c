import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { ArrowLeft } from "lucide-react";
import { useState } from "react";
import { useForm } from "react-hook-form";

import { call, client } from "@/api/client";
import { Page } from "@/layout/page";
import { showDone } from "@/layout/toasts";
import { draftOr, dropDraft, readDraft, useDraft } from "@/lib/draft";
import { useCompany, useIsOwner } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Card, CardContent } from "@/ui/card";

import { Notice } from "./edit";
import { customerOf, EMPTY_ORDER, itemsOf, orderSchema, type OrderValues } from "./form";
import { showItemErrors } from "./item-errors";
import { ItemsForm } from "./items-form";
import { OrderError } from "./order-error";
import { newOrderRoute } from "./route";

const DRAFT = "order.new";

/** Enters an order by hand. */
export function NewOrderPage() {
  const all = useTexts("orders");
  const { orders } = all;
  const { tenant } = useCompany();
  const isOwner = useIsOwner();
  const search = newOrderRoute.useSearch();
  const [hadDraft, setHadDraft] = useState(() => readDraft(DRAFT) !== null);
  const form = useForm<OrderValues>({ resolver: zodResolver(orderSchema(all)), defaultValues: draftOr(DRAFT, EMPTY_ORDER) });
  useDraft(DRAFT, form);
  const create = useCreate(form);
  const beginAnew = () => {
    form.reset(EMPTY_ORDER);
    dropDraft(DRAFT);
    setHadDraft(false);
  };
  return (
    <Page
      title={orders.createTitle}
      lead={`${isOwner ? orders.nameHint : orders.nameOnlyHint} ${orders.priceHint}`}
      actions={
        <Button variant="ghost" asChild>
          <Link to="/orders" search={search}>
            <ArrowLeft aria-hidden />
            {orders.toList}
          </Link>
        </Button>
      }
    >
      <form noValidate className="grid grid-cols-1 gap-4" onSubmit={(event) => void form.handleSubmit((values) => create.mutate(values))(event)}>
        {hadDraft && <Notice text={orders.draft} action={orders.discardDraft} onAction={beginAnew} />}
        <Card>
          <CardContent className="grid grid-cols-1 gap-4">
            <ItemsForm form={form} currency={tenant.currency} />
          </CardContent>
        </Card>
        <OrderError error={create.error} />
        <Button type="submit" className="justify-self-start" isBusy={create.isPending}>
          {orders.createSubmit}
        </Button>
      </form>
    </Page>
  );
}

/** Creates the order once: a repeated click after a lost answer sends the same key, and the API answers as before. */
function useCreate(form: ReturnType<typeof useForm<OrderValues>>) {
  const { orders } = useTexts("orders");
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [attempt, setAttempt] = useState({ key: crypto.randomUUID(), sent: "" });
  return useMutation({
    mutationFn: async (values: OrderValues) => {
      const body = { customer_name: customerOf(values), items: itemsOf(values) };
      const sent = JSON.stringify(body);
      // The API refuses a key with another body, so what was changed since gets a new one.
      const key = attempt.sent === "" || attempt.sent === sent ? attempt.key : crypto.randomUUID();
      setAttempt({ key, sent });
      return (await call(client.POST("/api/v1/orders", { body, params: { header: { "Idempotency-Key": key } } }))).data;
    },
    onSuccess: async (order) => {
      dropDraft(DRAFT);
      showDone(orders.createdDone(order.number));
      void queries.invalidateQueries({ queryKey: ["orders"] });
      await navigate({ to: "/orders/$orderId", params: { orderId: order.id }, replace: true });
    },
    onError: (error) => showItemErrors(form, error),
    meta: { showsError: true },
  });
}
