import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ArrowLeft, MessageCircle } from "lucide-react";
import type { ReactNode } from "react";

import { ApiError } from "@/api/errors";
import { ConversationLink } from "@/layout/conversation-link";
import { Page } from "@/layout/page";
import { ErrorState, LoadingState } from "@/layout/states";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";

import { OrderActions } from "./actions";
import { NeedsPriceBadge, StatusBadge } from "./badges";
import { EditOrder } from "./edit";
import { ItemsTable } from "./items-table";
import { type Order, orderQuery } from "./queries";
import { orderRoute } from "./route";
import { listSearchOf } from "./search";
import { canEditItems } from "./steps";

export function OrderPage() {
  const { orders } = useTexts("orders");
  const { orderId } = orderRoute.useParams();
  const search = orderRoute.useSearch();
  const isEditing = search.edit === true;
  const query = useQuery(orderQuery(orderId));
  // A deleted order stays in the cache; what is on the page must not be taken for an order that exists.
  const isGone = query.error instanceof ApiError && query.error.status === 404;
  const order = isGone ? undefined : query.data;
  const title = order === undefined ? orders.title : isEditing ? orders.editTitle(order.number) : orders.number(order.number);
  return (
    <Page
      title={title}
      actions={
        <Button variant="ghost" asChild>
          <Link to="/orders" search={listSearchOf(search)}>
            <ArrowLeft aria-hidden />
            {orders.toList}
          </Link>
        </Button>
      }
    >
      {query.isPending && <LoadingState />}
      {order === undefined && query.isError && <ErrorState error={query.error} onRetry={() => void query.refetch()} />}
      {order && (isEditing ? <EditOrder key={order.id} order={order} /> : <OrderView order={order} />)}
    </Page>
  );
}

function OrderView({ order }: { order: Order }) {
  const { orders, common } = useTexts("orders");
  const { orderId } = orderRoute.useParams();
  return (
    <>
      <Facts order={order} />
      <OrderActions order={order} />
      <Card>
        <CardHeader>
          <CardTitle>{orders.items}</CardTitle>
          {canEditItems(order.status) ? (
            <Button variant="outline" size="sm" asChild>
              <Link from="/orders/$orderId" to="/orders/$orderId" params={{ orderId }} search={(previous) => ({ ...previous, edit: true })}>
                {common.edit}
              </Link>
            </Button>
          ) : (
            <p className="text-sm text-muted-foreground">{orders.closed}</p>
          )}
        </CardHeader>
        <CardContent>
          <ItemsTable order={order} />
        </CardContent>
      </Card>
    </>
  );
}

function Facts({ order }: { order: Order }) {
  const { orders } = useTexts("orders");
  const format = useFormat();
  return (
    <dl className="grid grid-cols-1 gap-x-8 gap-y-3 rounded-lg border bg-card px-5 py-4 text-sm sm:grid-cols-2 lg:grid-cols-4">
      <Fact label={orders.customer}>
        <bdi className="[overflow-wrap:anywhere]">{order.customer_name ?? orders.noCustomer}</bdi>
        {order.conversation_id === null ? (
          <span className="block text-muted-foreground">{orders.byHand}</span>
        ) : (
          <ConversationLink id={order.conversation_id} className="flex items-center gap-1 text-primary underline underline-offset-4">
            <MessageCircle aria-hidden className="size-4" />
            {orders.conversation}
          </ConversationLink>
        )}
      </Fact>
      <Fact label={orders.columns.status}>
        <span className="flex flex-wrap gap-1">
          <StatusBadge status={order.status} />
          {order.needs_review && order.status !== "cancelled" && <NeedsPriceBadge />}
        </span>
      </Fact>
      <Fact label={orders.created}>{format.dateTime(order.created_at)}</Fact>
      <Fact label={orders.updated}>{format.dateTime(order.updated_at)}</Fact>
    </dl>
  );
}

function Fact({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-muted-foreground">{label}</dt>
      <dd className="mt-1">{children}</dd>
    </div>
  );
}
