import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Plus, SearchX, ShoppingBag } from "lucide-react";

import { Page } from "@/layout/page";
import { Pager } from "@/layout/pager";
import { EmptyState, ErrorState, LoadingState } from "@/layout/states";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from "@/ui/table";

import { NeedsPriceBadge, StatusBadge } from "./badges";
import { OrderFilters } from "./filters";
import { type Order, ordersQuery } from "./queries";
import { ordersRoute } from "./route";
import { isFiltered } from "./search";

/** Number of items of an order that the list names. */
const NAMED_ITEMS = 2;

export function OrdersPage() {
  const { orders, common } = useTexts("orders");
  const search = ordersRoute.useSearch();
  const list = useQuery(ordersQuery(search));
  const isEmpty = list.data?.data.length === 0;
  return (
    <Page
      title={orders.title}
      lead={orders.lead}
      actions={
        <Button asChild>
          <Link to="/orders/new" search={search}>
            <Plus aria-hidden />
            {orders.create}
          </Link>
        </Button>
      }
    >
      <OrderFilters />
      {list.isPending && <LoadingState />}
      {list.isError && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
      {isEmpty && (isFiltered(search) || search.page !== undefined) && (
        <EmptyState
          icon={SearchX}
          title={common.noMatch}
          action={
            <Button variant="outline" asChild>
              <Link to="/orders">{common.clearFilters}</Link>
            </Button>
          }
        />
      )}
      {isEmpty && !isFiltered(search) && search.page === undefined && (
        <EmptyState icon={ShoppingBag} title={orders.empty}>
          <p>{orders.emptyHint}</p>
        </EmptyState>
      )}
      {list.data && !isEmpty && (
        <>
          <OrderTable orders={list.data.data} isStale={list.isPlaceholderData} />
          <Pager meta={list.data.meta} />
        </>
      )}
    </Page>
  );
}

function OrderTable({ orders: rows, isStale }: { orders: readonly Order[]; isStale: boolean }) {
  const { orders } = useTexts("orders");
  const { columns } = orders;
  return (
    <div className="rounded-lg border bg-card data-[stale=true]:opacity-60" data-stale={isStale} aria-busy={isStale}>
      <Table aria-label={orders.list}>
        <TableHeader>
          <TableRow>
            <TableHead>{columns.order}</TableHead>
            <TableHead className="hidden md:table-cell">{columns.items}</TableHead>
            <TableHead className="hidden sm:table-cell">{columns.status}</TableHead>
            <TableHead className="text-right">{columns.total}</TableHead>
            <TableHead className="hidden text-right sm:table-cell">{columns.created}</TableHead>
          </TableRow>
        </TableHeader>
        <TableBody>
          {rows.map((order) => (
            <OrderRow key={order.id} order={order} />
          ))}
        </TableBody>
      </Table>
    </div>
  );
}

function OrderRow({ order }: { order: Order }) {
  const { orders } = useTexts("orders");
  const format = useFormat();
  const search = ordersRoute.useSearch();
  return (
    <TableRow className="relative hover:bg-accent/50">
      <TableCell className="max-w-44 sm:max-w-56">
        {/* The link covers the row, so that a thumb finds it. */}
        <Link
          to="/orders/$orderId"
          params={{ orderId: order.id }}
          search={search}
          className="block truncate font-medium after:absolute after:inset-0"
          aria-label={`${orders.number(order.number)}, ${order.customer_name ?? orders.noCustomer}`}
        >
          <bdi>{order.customer_name ?? <span className="text-muted-foreground">{orders.noCustomer}</span>}</bdi>
        </Link>
        <span className="font-mono text-xs text-muted-foreground">{order.number}</span>
        <span className="mt-1 flex flex-wrap gap-1 sm:hidden">
          <Badges order={order} />
        </span>
      </TableCell>
      <TableCell className="hidden max-w-72 md:table-cell">
        <ItemSummary order={order} />
      </TableCell>
      <TableCell className="hidden sm:table-cell">
        <span className="flex flex-wrap gap-1">
          <Badges order={order} />
        </span>
      </TableCell>
      <TableCell className="text-right whitespace-nowrap tabular-nums">
        {format.money(order.total_amount, order.currency)}
        <time className="block text-xs text-muted-foreground sm:hidden" dateTime={order.created_at}>
          {format.short(order.created_at)}
        </time>
      </TableCell>
      <TableCell className="hidden text-right whitespace-nowrap text-muted-foreground sm:table-cell">
        <time dateTime={order.created_at} title={format.dateTime(order.created_at)}>
          {format.short(order.created_at)}
        </time>
      </TableCell>
    </TableRow>
  );
}

function Badges({ order }: { order: Order }) {
  return (
    <>
      <StatusBadge status={order.status} />
      {order.needs_review && order.status !== "cancelled" && <NeedsPriceBadge />}
    </>
  );
}

function ItemSummary({ order: { items } }: { order: Order }) {
  const { orders } = useTexts("orders");
  return (
    <div className="text-muted-foreground">
      {items.slice(0, NAMED_ITEMS).map((item, place) => (
        <div key={place} className="truncate">
          {item.quantity} × <bdi>{item.name}</bdi>
        </div>
      ))}
      {items.length > NAMED_ITEMS && <div className="text-xs">{orders.moreItems(items.length - NAMED_ITEMS)}</div>}
    </div>
  );
}
