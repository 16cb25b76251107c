import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { Send } from "lucide-react";
import { useEffect, useState } from "react";

import { call, client } from "@/api/client";
import { Pager } from "@/layout/pager";
import { showDone } from "@/layout/toasts";
import { cn } from "@/lib/cn";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";

import { Loaded } from "./section";
import { deliveriesQuery, endpointQuery } from "./webhook-queries";
import { ReplayDialog } from "./webhook-replay";
import { type Delivery, DELIVERY_STATUSES, type Endpoint, isBeingSent } from "./webhook-values";

const route = getRouteApi("/app/settings/webhooks/$endpoint");

const VARIANTS: Record<string, "success" | "destructive" | "secondary"> = { delivered: "success", failed: "destructive", pending: "secondary" };

/** The deliveries of an endpoint with their results, and the buttons for a test event and for a replay of failed deliveries. */
export function DeliveriesCard({ endpoint }: { endpoint: Endpoint }) {
  const { webhooks } = useTexts("webhooks");
  const text = webhooks.deliveries;
  const search = route.useSearch();
  const list = useQuery(deliveriesQuery(endpoint.id, search));
  const [isReplaying, setReplaying] = useState(false);
  useEndpointAfterAttempts(endpoint.id, list.data?.data);
  return (
    <Card>
      <CardHeader>
        <CardTitle>{text.title}</CardTitle>
        {endpoint.enabled && (
          <div className="flex flex-wrap gap-2">
            <Button variant="outline" size="sm" onClick={() => setReplaying(true)}>
              {webhooks.replay.open}
            </Button>
            <TestButton endpoint={endpoint} />
          </div>
        )}
      </CardHeader>
      <CardContent className="grid gap-4">
        <p className="text-sm text-muted-foreground">{text.lead}</p>
        <StatusFilter />
        <Loaded query={list}>
          {({ data, meta }) => (
            <>
              {data.length === 0 ? (
                <Nothing isFiltered={search.status !== undefined} />
              ) : (
                <ul aria-label={text.title} className={cn("divide-y", list.isPlaceholderData && "opacity-60")}>
                  {data.map((delivery) => (
                    <DeliveryItem key={delivery.id} delivery={delivery} now={list.dataUpdatedAt} />
                  ))}
                </ul>
              )}
              <Pager meta={meta} />
            </>
          )}
        </Loaded>
      </CardContent>
      {isReplaying && <ReplayDialog id={endpoint.id} onClose={() => setReplaying(false)} />}
    </Card>
  );
}

/** Fetches the endpoint again when an attempt has ended: its result may have switched the endpoint off or ended its failures. */
function useEndpointAfterAttempts(id: string, deliveries: readonly Delivery[] | undefined): void {
  const queries = useQueryClient();
  const attempts = deliveries?.map((delivery) => `${delivery.id} ${delivery.status} ${delivery.last_attempt_at ?? ""}`).join();
  useEffect(() => {
    if (attempts !== undefined) void queries.invalidateQueries({ queryKey: endpointQuery(id).queryKey });
  }, [queries, id, attempts]);
}

function Nothing({ isFiltered }: { isFiltered: boolean }) {
  const { webhooks } = useTexts("webhooks");
  const text = webhooks.deliveries;
  return (
    <div className="grid gap-1 py-6 text-center text-sm">
      <p className="font-medium">{isFiltered ? text.noMatch : text.empty}</p>
      {!isFiltered && <p className="text-muted-foreground">{text.emptyHint}</p>}
    </div>
  );
}

function TestButton({ endpoint }: { endpoint: Endpoint }) {
  const { webhooks } = useTexts("webhooks");
  const queries = useQueryClient();
  const navigate = route.useNavigate();
  const test = useMutation({
    mutationFn: async () => (await call(client.POST("/api/v1/webhook-endpoints/{id}/test", { params: { path: { id: endpoint.id } } }))).data,
    onSuccess: async () => {
      showDone(webhooks.testSent);
      await navigate({ search: {}, replace: true });
    },
    // A refusal says that a colleague has switched the endpoint off meanwhile.
    onSettled: () => queries.invalidateQueries({ queryKey: ["webhooks"] }),
  });
  return (
    <Button size="sm" isBusy={test.isPending} onClick={() => test.mutate()}>
      <Send aria-hidden /> {webhooks.test}
    </Button>
  );
}

/** The status stands in the address. */
function StatusFilter() {
  const { webhooks } = useTexts("webhooks");
  const text = webhooks.deliveries;
  const { status: chosen } = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <div role="group" aria-label={text.filter} className="flex max-w-full gap-1 justify-self-start overflow-x-auto rounded-md bg-muted p-1">
      {[undefined, ...DELIVERY_STATUSES].map((status) => (
        <button
          key={status ?? "all"}
          type="button"
          aria-pressed={chosen === status}
          className={cn(
            "rounded-sm px-2 py-1 text-sm sm:px-3 font-medium whitespace-nowrap text-muted-foreground",
            chosen === status && "bg-card text-foreground shadow-sm",
          )}
          onClick={() => void navigate({ search: status === undefined ? {} : { status }, replace: true })}
        >
          {status === undefined ? text.all : text.statuses[status]}
        </button>
      ))}
    </div>
  );
}

/** A delivery as it was at `now`, the time of the answer. */
function DeliveryItem({ delivery, now }: { delivery: Delivery; now: number }) {
  const { webhooks } = useTexts("webhooks");
  const text = webhooks.deliveries;
  const format = useFormat();
  const { status, error_code: code, response_status: answer, latency_ms: latency, next_attempt_at: next } = delivery;
  const facts = [
    format.dateTime(delivery.occurred_at),
    text.attempts(delivery.attempts),
    ...(answer == null ? [] : [text.http(answer)]),
    ...(latency == null ? [] : [text.milliseconds(format.number(latency))]),
  ];
  return (
    <li className="grid gap-1 py-3 text-sm">
      <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1">
        <span className="font-medium">{webhooks.events[delivery.event_type]?.name ?? delivery.event_type}</span>
        <Badge variant={VARIANTS[status] ?? "secondary"}>{text.statuses[status] ?? status}</Badge>
      </div>
      <p className="text-muted-foreground">{facts.join(" · ")}</p>
      {code != null && <p>{text.reasons[code] ?? code}</p>}
      {status === "pending" && (
        <p className="text-muted-foreground">{next == null || isBeingSent(delivery, now) ? text.soon : text.next(format.dateTime(next))}</p>
      )}
      <code translate="no" className="text-xs break-all text-muted-foreground select-all">
        {delivery.event_id}
      </code>
    </li>
  );
}
