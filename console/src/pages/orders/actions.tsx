import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Check, Trash2 } from "lucide-react";
import { useId, useState } from "react";

import { callEmpty, client } from "@/api/client";
import { showDone } from "@/layout/toasts";
import { cn } from "@/lib/cn";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/dialog";
import { Switch } from "@/ui/switch";

import { OrderError } from "./order-error";
import { changeOrder, type Order, orderQuery } from "./queries";
import { orderRoute } from "./route";
import { listSearchOf, type OrderStatus } from "./search";
import { canCancel, canDelete, nextStatus, PATH, unpricedItems } from "./steps";

/** The status of an order, and buttons for the allowed next steps. */
export function OrderActions({ order }: { order: Order }) {
  const { orders } = useTexts("orders");
  const [tellsCustomer, setTellsCustomer] = useState(true);
  const [asks, setAsks] = useState<"cancel" | "delete" | null>(null);
  const move = useMove(order, tellsCustomer);
  const remove = useDelete(order);
  const next = nextStatus(order.status);
  const isBlocked = next === "confirmed" && order.needs_review;
  return (
    <div className="grid grid-cols-1 gap-4 rounded-lg border bg-card px-5 py-4">
      {order.status !== "cancelled" && <Steps status={order.status} />}
      {order.needs_review && next !== null && <NeedsReview order={order} />}
      {next !== null && hasConversation(order) && <TellCustomer isOn={tellsCustomer} onChange={setTellsCustomer} />}
      <OrderError error={move.error ?? remove.error} />
      <div className="flex flex-wrap gap-2 empty:hidden">
        {next !== null && (
          <Button isBusy={move.isPending && move.variables === next} disabled={isBlocked} onClick={() => move.mutate(next)}>
            {orders.advance[next]}
          </Button>
        )}
        {canCancel(order.status) && (
          <Button variant="outline" onClick={() => setAsks("cancel")}>
            {orders.cancel}
          </Button>
        )}
        {canDelete(order.status) && (
          <Button variant="ghost" className="text-destructive" onClick={() => setAsks("delete")}>
            <Trash2 aria-hidden />
            {orders.delete}
          </Button>
        )}
      </div>
      {asks === "cancel" && (
        <Ask order={order} kind="cancel" isBusy={move.isPending} onClose={() => setAsks(null)} onConfirm={() => move.mutate("cancelled", { onSettled: () => setAsks(null) })} />
      )}
      {asks === "delete" && (
        <Ask order={order} kind="delete" isBusy={remove.isPending} onClose={() => setAsks(null)} onConfirm={() => remove.mutate(undefined, { onError: () => setAsks(null) })} />
      )}
    </div>
  );
}

export const hasConversation = (order: Order) => order.conversation_id !== null;

/** Moves the order to a status; the page then shows what the server answered, also after a conflict. */
function useMove(order: Order, tellsCustomer: boolean) {
  const { orders } = useTexts("orders");
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (status: OrderStatus) => changeOrder(order.id, { status, notify_customer: tellsCustomer && hasConversation(order) }),
    onSuccess: ({ customer_notice, ...changed }) => {
      queries.setQueryData(orderQuery(order.id).queryKey, changed);
      showDone([orders.moved[changed.status], ...(customer_notice ? [orders.notices[customer_notice]] : [])].join(" "));
    },
    onSettled: () => void queries.invalidateQueries({ queryKey: ["orders"] }),
    meta: { showsError: true },
  });
}

function useDelete(order: Order) {
  const { orders } = useTexts("orders");
  const queries = useQueryClient();
  const navigate = useNavigate();
  const search = orderRoute.useSearch();
  return useMutation({
    mutationFn: () => callEmpty(client.DELETE("/api/v1/orders/{id}", { params: { path: { id: order.id } } })),
    onSuccess: async () => {
      await navigate({ to: "/orders", search: listSearchOf(search), replace: true });
      queries.removeQueries({ queryKey: orderQuery(order.id).queryKey });
      showDone(orders.deleted);
    },
    onSettled: () => void queries.invalidateQueries({ queryKey: ["orders"] }),
    meta: { showsError: true },
  });
}

function Steps({ status }: { status: OrderStatus }) {
  const { orders } = useTexts("orders");
  const reached = PATH.findIndex((step) => step === status);
  return (
    <ol aria-label={orders.steps} className="flex flex-wrap gap-x-6 gap-y-2 text-sm">
      {PATH.map((step, place) => (
        <li
          key={step}
          aria-current={place === reached ? "step" : undefined}
          className={cn("flex items-center gap-2", place === reached ? "font-semibold" : "text-muted-foreground")}
        >
          <span
            aria-hidden
            className={cn(
              "flex size-5 items-center justify-center rounded-full border text-xs",
              place <= reached && "border-primary bg-primary text-primary-foreground",
            )}
          >
            {place < reached ? <Check className="size-3" /> : place + 1}
          </span>
          {orders.statuses[step]}
        </li>
      ))}
    </ol>
  );
}

function NeedsReview({ order }: { order: Order }) {
  const { orders } = useTexts("orders");
  return (
    <Alert variant="warning">
      <span className="min-w-0 flex-1 basis-60">{orders.needsReview(unpricedItems(order))}</span>
      <Button size="sm" asChild>
        <Link from="/orders/$orderId" to="/orders/$orderId" params={{ orderId: order.id }} search={(previous) => ({ ...previous, edit: true as const })}>
          {orders.setPrices}
        </Link>
      </Button>
    </Alert>
  );
}

export function TellCustomer({ isOn, onChange }: { isOn: boolean; onChange: (isOn: boolean) => void }) {
  const { orders } = useTexts("orders");
  const id = useId();
  return (
    <div className="flex items-start gap-3">
      <Switch id={id} checked={isOn} onCheckedChange={onChange} aria-describedby={`${id}-hint`} />
      <div className="text-sm">
        <label htmlFor={id} className="font-medium">
          {orders.tell}
        </label>
        <p id={`${id}-hint`} className="text-muted-foreground">
          {orders.tellHint}
        </p>
      </div>
    </div>
  );
}

interface AskProps {
  order: Order;
  kind: "cancel" | "delete";
  isBusy: boolean;
  onConfirm: () => void;
  onClose: () => void;
}

function Ask({ order, kind, ...dialog }: AskProps) {
  const { orders } = useTexts("orders");
  const format = useFormat();
  const customer = order.customer_name ?? orders.noCustomer;
  const total = format.money(order.total_amount, order.currency);
  return kind === "cancel" ? (
    <ConfirmDialog title={orders.cancelTitle(order.number)} text={orders.cancelText(customer, total)} confirm={orders.cancel} {...dialog} />
  ) : (
    <ConfirmDialog title={orders.deleteTitle(order.number)} text={orders.deleteText(customer, total)} confirm={orders.delete} {...dialog} />
  );
}
