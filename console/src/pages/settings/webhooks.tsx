import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Plus, Webhook } from "lucide-react";
import { useState } from "react";

import { EmptyState } from "@/layout/states";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";

import { Loaded, Section } from "./section";
import { ShownOnce } from "./shown-once";
import { CreateEndpointDialog } from "./webhook-dialog";
import { endpointsQuery } from "./webhook-queries";
import { type Endpoint, type EndpointStatus, MAX_ENDPOINTS, statusOf } from "./webhook-values";

const VARIANTS: Record<EndpointStatus, "success" | "warning" | "destructive"> = { active: "success", failing: "warning", off: "destructive" };

export function EndpointBadge({ endpoint }: { endpoint: Endpoint }) {
  const { webhooks } = useTexts("webhooks");
  const status = statusOf(endpoint);
  return <Badge variant={VARIANTS[status]}>{webhooks.statuses[status]}</Badge>;
}

/** The endpoints to which the company's events are sent, and a new one. */
export function WebhooksSection() {
  const { webhooks } = useTexts("webhooks");
  const list = useQuery(endpointsQuery);
  const navigate = useNavigate();
  const [isCreating, setCreating] = useState(false);
  const [created, setCreated] = useState<{ id: string; secret: string } | null>(null);
  const isFull = (list.data?.length ?? 0) >= MAX_ENDPOINTS;
  const add = list.data !== undefined && !isFull && (
    <Button onClick={() => setCreating(true)}>
      <Plus aria-hidden /> {webhooks.add}
    </Button>
  );
  return (
    <Section name="webhooks" actions={(list.data?.length ?? 0) > 0 && add}>
      {isFull && <p className="text-sm text-muted-foreground">{webhooks.full(MAX_ENDPOINTS)}</p>}
      <Loaded query={list}>
        {(endpoints) =>
          endpoints.length === 0 ? (
            <EmptyState icon={Webhook} title={webhooks.empty} action={add}>
              <p>{webhooks.emptyHint}</p>
            </EmptyState>
          ) : (
            <ul className="grid gap-3">
              {endpoints.map((endpoint) => (
                <EndpointItem key={endpoint.id} endpoint={endpoint} />
              ))}
            </ul>
          )
        }
      </Loaded>
      <Words />
      {isCreating && (
        <CreateEndpointDialog
          onClose={() => setCreating(false)}
          onCreated={(answer) => {
            setCreating(false);
            setCreated(answer);
          }}
        />
      )}
      {created && (
        <ShownOnce
          title={webhooks.created.title}
          text={webhooks.created.text}
          label={webhooks.secretLabel}
          value={created.secret}
          onClose={() => void navigate({ to: "/settings/webhooks/$endpoint", params: { endpoint: created.id } })}
        />
      )}
    </Section>
  );
}

/** Explains the words of the page to a person who does not program. */
function Words() {
  const { webhooks } = useTexts("webhooks");
  return (
    <Card>
      <CardHeader>
        <CardTitle>{webhooks.wordsTitle}</CardTitle>
      </CardHeader>
      <CardContent>
        <dl className="grid gap-3 text-sm">
          {webhooks.words.map(({ word, text }) => (
            <div key={word} className="grid gap-0.5 sm:grid-cols-[10rem_1fr] sm:gap-3">
              <dt className="font-medium">{word}</dt>
              <dd className="text-muted-foreground">{text}</dd>
            </div>
          ))}
        </dl>
      </CardContent>
    </Card>
  );
}

function EndpointItem({ endpoint }: { endpoint: Endpoint }) {
  const { webhooks } = useTexts("webhooks");
  const format = useFormat();
  const { url, description, events } = endpoint;
  return (
    <li>
      <Card className="relative grid gap-1 px-4 py-3 hover:bg-accent/40 sm:px-5">
        <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1">
          <Link
            to="/settings/webhooks/$endpoint"
            params={{ endpoint: endpoint.id }}
            className="min-w-0 text-sm font-medium break-all after:absolute after:inset-0 after:rounded-lg"
          >
            {description == null ? url : <bdi className="break-words">{description}</bdi>}
          </Link>
          <EndpointBadge endpoint={endpoint} />
        </div>
        {description != null && <p className="text-sm break-all text-muted-foreground">{url}</p>}
        <p className="text-sm text-muted-foreground">
          {events.length === 0 ? webhooks.allEvents : events.map((event) => webhooks.events[event]?.name ?? event).join(" · ")}
        </p>
        {statusOf(endpoint) === "failing" && endpoint.failing_since != null && (
          <p className="text-sm text-warning">{webhooks.failingSince(format.dateTime(endpoint.failing_since))}</p>
        )}
      </Card>
    </li>
  );
}
