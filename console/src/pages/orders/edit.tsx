import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useForm } from "react-hook-form";

import { showDone } from "@/layout/toasts";
import { draftOr, dropDraft, readDraft, useDraft } from "@/lib/draft";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";
import { Card, CardContent } from "@/ui/card";

import { hasConversation, TellCustomer } from "./actions";
import { orderSchema, type OrderValues, patchOf, valuesOf } from "./form";
import { showItemErrors } from "./item-errors";
import { ItemsForm } from "./items-form";
import { OrderError } from "./order-error";
import { changeOrder, type Order, orderQuery } from "./queries";
import { listSearchOf } from "./search";
import { canEditItems } from "./steps";

/** Changes the customer and the items. What is typed outlives a reload; what others change meanwhile is said. */
export function EditOrder({ order }: { order: Order }) {
  const all = useTexts("orders");
  const { orders, common } = all;
  const draftName = `order.${order.id}`;
  const [known, setKnown] = useState(order.updated_at);
  const [hadDraft, setHadDraft] = useState(() => readDraft(draftName) !== null);
  const [tellsCustomer, setTellsCustomer] = useState(true);
  const form = useForm<OrderValues>({ resolver: zodResolver(orderSchema(all)), defaultValues: draftOr(draftName, valuesOf(order)) });
  useDraft(draftName, form);
  useFocusOnMissingPrice(order);
  const leave = useLeave(draftName);
  const save = useSave(order, tellsCustomer && hasConversation(order), form, leave);
  const beginAnew = () => {
    form.reset(valuesOf(order));
    dropDraft(draftName);
    setKnown(order.updated_at);
    setHadDraft(false);
  };
  const hasChanged = known !== order.updated_at;
  return (
    <form noValidate className="grid grid-cols-1 gap-4" onSubmit={(event) => void form.handleSubmit((values) => save.mutate(values))(event)}>
      {hadDraft && !hasChanged && <Notice text={orders.draft} action={orders.discardDraft} onAction={beginAnew} />}
      {hasChanged && canEditItems(order.status) && <Notice text={orders.changedMeanwhile} action={orders.loadNew} onAction={beginAnew} isWarning />}
      {!canEditItems(order.status) && <Notice text={`${orders.moved[order.status]} ${orders.closed}`} isWarning />}
      <Card>
        <CardContent className="grid grid-cols-1 gap-4">
          <ItemsForm form={form} currency={order.currency} />
        </CardContent>
      </Card>
      {hasConversation(order) && <TellCustomer isOn={tellsCustomer} onChange={setTellsCustomer} />}
      <OrderError error={save.error} />
      <div className="flex flex-wrap gap-2">
        <Button type="submit" isBusy={save.isPending}>
          {orders.save}
        </Button>
        <Button variant="outline" onClick={leave}>
          {common.cancel}
        </Button>
      </div>
    </form>
  );
}

/** Goes back to the order. The draft is dropped: leaving by a button is a decision. */
function useLeave(draftName: string) {
  const navigate = useNavigate({ from: "/orders/$orderId" });
  return () => {
    dropDraft(draftName);
    void navigate({ search: listSearchOf, replace: true });
  };
}

function useSave(order: Order, notifies: boolean, form: ReturnType<typeof useForm<OrderValues>>, leave: () => void) {
  const { orders } = useTexts("orders");
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (values: OrderValues) => {
      const patch = patchOf(values, order);
      return patch === null ? null : changeOrder(order.id, { ...patch, notify_customer: notifies && patch.items !== undefined });
    },
    onSuccess: (answer) => {
      if (answer !== null) {
        const { customer_notice, ...changed } = answer;
        queries.setQueryData(orderQuery(order.id).queryKey, changed);
        showDone([orders.saved, ...(customer_notice ? [orders.notices[customer_notice]] : [])].join(" "));
      }
      leave();
    },
    onError: (error) => showItemErrors(form, error),
    onSettled: () => void queries.invalidateQueries({ queryKey: ["orders"] }),
    meta: { showsError: true },
  });
}

/** Puts the cursor where an order waits for a price. */
function useFocusOnMissingPrice(order: Order): void {
  const place = order.items.findIndex(({ unit_price }) => unit_price === null);
  useEffect(() => {
    if (place >= 0) document.querySelector<HTMLInputElement>(`input[name="items.${place}.unit_price"]`)?.focus();
    // Only when the form opens.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);
}

interface NoticeProps {
  text: string;
  action?: string;
  onAction?: () => void;
  isWarning?: boolean;
}

export function Notice({ text, action, onAction, isWarning = false }: NoticeProps) {
  return (
    <Alert role="status" variant={isWarning ? "warning" : "default"}>
      <span className="min-w-0 flex-1 basis-60">{text}</span>
      {action !== undefined && (
        <Button size="sm" variant="outline" onClick={onAction}>
          {action}
        </Button>
      )}
    </Alert>
  );
}
