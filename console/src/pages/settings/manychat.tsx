import { useQuery } from "@tanstack/react-query";

import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";
import { CopyButton } from "@/ui/copy-button";

import { REQUEST_BODY, SECRET_HEADER, webhookUrl } from "./manychat-guide";
import { KeyCard } from "./manychat-key";
import { SecretsCard } from "./manychat-secrets";
import { customerQuery, unreadQuery } from "./queries";
import { Loaded, Section } from "./section";

/** The connection to WhatsApp through ManyChat: secret, key, the request of the flow, and what to do when nothing comes. */
export function ManychatSection() {
  const customer = useQuery(customerQuery);
  return (
    <Section name="manychat">
      <Loaded query={customer}>
        {(data) => (
          <>
            <SecretsCard secrets={data.webhook_secrets} />
            <KeyCard masked={data.manychat_api_key ?? null} />
            <RequestCard />
            <TroubleCard />
          </>
        )}
      </Loaded>
    </Section>
  );
}

function RequestCard() {
  const { settings } = useTexts("settings");
  const text = settings.manychat;
  const rows = [
    { label: text.method, value: "POST", canCopy: false },
    { label: text.url, value: webhookUrl(), canCopy: true },
    { label: text.header(SECRET_HEADER), value: text.headerValue, canCopy: false },
    { label: text.header("Content-Type"), value: "application/json", canCopy: true },
  ];
  return (
    <Card>
      <CardHeader>
        <CardTitle>{text.requestTitle}</CardTitle>
      </CardHeader>
      <CardContent className="grid gap-4">
        <p className="text-sm text-muted-foreground">{text.requestLead}</p>
        <dl className="grid gap-3">
          {rows.map(({ label, value, canCopy }) => (
            <div key={label} className="grid gap-1 sm:grid-cols-[14rem_1fr] sm:items-center">
              <dt className="text-sm font-medium break-words">{label}</dt>
              <dd className="flex items-center gap-2 text-sm">
                <span className="min-w-0 flex-1 break-all">{value}</span>
                {canCopy && <CopyButton text={value} label={label} />}
              </dd>
            </div>
          ))}
        </dl>
        <div className="grid gap-2">
          <div className="flex items-center justify-between gap-2">
            <h3 className="text-sm font-medium">{text.body}</h3>
            <CopyButton text={REQUEST_BODY} label={text.body} />
          </div>
          {/* The scrolled part must be reachable by keyboard. */}
          {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
          <pre tabIndex={0} className="overflow-x-auto rounded-md bg-muted p-3 text-xs">
            {REQUEST_BODY}
          </pre>
          <p className="text-sm text-muted-foreground">{text.bodyHint}</p>
        </div>
        <p className="text-sm">{text.testHint}</p>
      </CardContent>
    </Card>
  );
}

/** Signs of a broken connection with their remedies, then the webhook calls that could not be read. */
function TroubleCard() {
  const { settings } = useTexts("settings");
  const text = settings.manychat;
  const format = useFormat();
  const unread = useQuery(unreadQuery);
  return (
    <Card>
      <CardHeader>
        <CardTitle>{text.troubleTitle}</CardTitle>
      </CardHeader>
      <CardContent className="grid gap-4">
        <dl className="grid gap-3 text-sm">
          {text.troubles.map(({ sign, remedy }) => (
            <div key={sign}>
              <dt className="font-medium">{sign}</dt>
              <dd className="text-muted-foreground">{remedy}</dd>
            </div>
          ))}
        </dl>
        <div className="grid gap-2 border-t pt-4">
          <h3 className="text-sm font-medium">{text.unread}</h3>
          <Loaded query={unread}>
            {(bodies) =>
              bodies.length === 0 ? (
                <p className="text-sm text-muted-foreground">{text.noUnread}</p>
              ) : (
                <ul className="grid gap-3">
                  {bodies.map((body) => (
                    <li key={body.id} className="grid gap-1 text-sm">
                      <span className="text-muted-foreground">{format.dateTime(body.created_at)}</span>
                      <code dir="auto" className="max-h-40 overflow-y-auto rounded-md bg-muted p-2 text-xs break-all whitespace-pre-wrap">
                        {body.body}
                      </code>
                    </li>
                  ))}
                </ul>
              )
            }
          </Loaded>
        </div>
      </CardContent>
    </Card>
  );
}
