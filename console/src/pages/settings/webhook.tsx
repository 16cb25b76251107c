import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { ArrowLeft, Pencil } from "lucide-react";
import { useState } from "react";

import { call, callEmpty, client } from "@/api/client";
import { useTitle } from "@/layout/page";
import { showDone } from "@/layout/toasts";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";
import { ConfirmDialog } from "@/ui/dialog";

import { Loaded } from "./section";
import { DeliveriesCard } from "./webhook-deliveries";
import { EditEndpointDialog } from "./webhook-dialog";
import { endpointQuery } from "./webhook-queries";
import { SecretCard } from "./webhook-secret";
import { type Endpoint, statusOf } from "./webhook-values";
import { EndpointBadge } from "./webhooks";

const route = getRouteApi("/app/settings/webhooks/$endpoint");

/** One endpoint: what it gets, its secret, its deliveries. */
export function WebhookSection() {
  const { webhooks, settings } = useTexts("webhooks", "settings");
  const { endpoint: id } = route.useParams();
  const endpoint = useQuery(endpointQuery(id));
  useTitle(endpoint.data?.description ?? endpoint.data?.url ?? settings.sections.webhooks);
  return (
    <div className="grid min-w-0 content-start gap-5">
      <Link to="/settings/webhooks" className="flex items-center gap-1.5 justify-self-start text-sm text-muted-foreground hover:text-foreground">
        <ArrowLeft aria-hidden className="size-4" /> {webhooks.back}
      </Link>
      <Loaded query={endpoint}>
        {(data) => (
          <>
            <EndpointHeader endpoint={data} />
            <SecretCard endpoint={data} now={endpoint.dataUpdatedAt} />
            <DeliveriesCard endpoint={data} />
            <RemoveEndpoint endpoint={data} />
          </>
        )}
      </Loaded>
    </div>
  );
}

function EndpointHeader({ endpoint }: { endpoint: Endpoint }) {
  const { webhooks } = useTexts("webhooks");
  const [isEditing, setEditing] = useState(false);
  const { url, description, events } = endpoint;
  return (
    <>
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <h1 className="min-w-0 text-xl font-semibold tracking-tight [overflow-wrap:anywhere]">
          <bdi>{description ?? url}</bdi>
        </h1>
        <EndpointBadge endpoint={endpoint} />
      </div>
      <StateNote endpoint={endpoint} />
      <Card>
        <CardHeader>
          <CardTitle>{webhooks.form.events}</CardTitle>
          <div className="flex flex-wrap gap-2">
            <Button variant="outline" size="sm" onClick={() => setEditing(true)}>
              <Pencil aria-hidden /> {webhooks.edit}
            </Button>
            {endpoint.enabled && <SwitchOff endpoint={endpoint} />}
          </div>
        </CardHeader>
        <CardContent className="grid gap-3 text-sm">
          {description != null && <p className="break-all text-muted-foreground">{url}</p>}
          {events.length === 0 ? (
            <p>
              {webhooks.allEvents}. <span className="text-muted-foreground">{webhooks.form.allHint}</span>
            </p>
          ) : (
            <ul className="grid gap-2">
              {events.map((event) => (
                <li key={event}>
                  <span className="font-medium">{webhooks.events[event]?.name ?? event}</span>{" "}
                  <code translate="no" className="text-xs text-muted-foreground">
                    {event}
                  </code>
                  <p className="text-muted-foreground">{webhooks.events[event]?.text}</p>
                </li>
              ))}
            </ul>
          )}
        </CardContent>
      </Card>
      {isEditing && <EditEndpointDialog endpoint={endpoint} onClose={() => setEditing(false)} />}
    </>
  );
}

/** Switches an endpoint on or off. */
function useSwitch(id: string, onDone: () => void) {
  const { webhooks } = useTexts("webhooks");
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (enabled: boolean) =>
      (await call(client.PATCH("/api/v1/webhook-endpoints/{id}", { params: { path: { id } }, body: { enabled } }))).data,
    onSuccess: async (changed) => {
      queries.setQueryData(endpointQuery(id).queryKey, changed);
      showDone(changed.enabled ? webhooks.switchedOn : webhooks.switchedOff);
      onDone();
      await queries.invalidateQueries({ queryKey: ["webhooks"] });
    },
    onError: onDone,
  });
}

/** A note about an endpoint that fails or is switched off, with the reason and the button that switches it on. */
function StateNote({ endpoint }: { endpoint: Endpoint }) {
  const { webhooks } = useTexts("webhooks");
  const format = useFormat();
  const switchOn = useSwitch(endpoint.id, () => undefined);
  const status = statusOf(endpoint);
  const { disabled_at: disabledAt, disabled_reason: reason, failing_since: failingSince } = endpoint;
  return (
    <div role="status" className="empty:hidden">
      {status === "failing" && failingSince != null && (
        <Alert variant="warning">
          <span className="min-w-0 flex-1">{webhooks.failingSince(format.dateTime(failingSince))}</span>
        </Alert>
      )}
      {status === "off" && (
        <Alert variant="warning">
          <span className="min-w-0 flex-1 basis-72">
            {(reason === "owner" || reason === "gone" || reason === "failing" ? webhooks.off[reason] : webhooks.off.unknown)(
              format.dateTime(disabledAt ?? endpoint.updated_at),
            )}
          </span>
          <Button size="sm" isBusy={switchOn.isPending} onClick={() => switchOn.mutate(true)}>
            {webhooks.switchOn}
          </Button>
        </Alert>
      )}
    </div>
  );
}

function SwitchOff({ endpoint }: { endpoint: Endpoint }) {
  const { webhooks } = useTexts("webhooks");
  const [isAsking, setAsking] = useState(false);
  const switchOff = useSwitch(endpoint.id, () => setAsking(false));
  return (
    <>
      <Button variant="outline" size="sm" onClick={() => setAsking(true)}>
        {webhooks.switchOff}
      </Button>
      {isAsking && (
        <ConfirmDialog
          title={webhooks.switchOffTitle}
          text={webhooks.switchOffText}
          confirm={webhooks.switchOff}
          isBusy={switchOff.isPending}
          onConfirm={() => switchOff.mutate(false)}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  );
}

function RemoveEndpoint({ endpoint }: { endpoint: Endpoint }) {
  const { webhooks } = useTexts("webhooks");
  const text = webhooks.remove;
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [isAsking, setAsking] = useState(false);
  const remove = useMutation({
    mutationFn: () => callEmpty(client.DELETE("/api/v1/webhook-endpoints/{id}", { params: { path: { id: endpoint.id } } })),
    onSuccess: async () => {
      showDone(text.done);
      await navigate({ to: "/settings/webhooks" });
      queries.removeQueries({ queryKey: endpointQuery(endpoint.id).queryKey });
      await queries.invalidateQueries({ queryKey: ["webhooks"] });
    },
    onError: () => setAsking(false),
  });
  return (
    <div>
      <Button variant="outline" className="text-destructive" onClick={() => setAsking(true)}>
        {text.action}
      </Button>
      {isAsking && (
        <ConfirmDialog
          title={text.title}
          text={<span className="[overflow-wrap:anywhere]">{text.text(endpoint.url)}</span>}
          confirm={text.action}
          isBusy={remove.isPending}
          onConfirm={() => remove.mutate()}
          onClose={() => setAsking(false)}
        />
      )}
    </div>
  );
}
