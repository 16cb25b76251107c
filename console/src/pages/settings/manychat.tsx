import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";

import { KeyCard } from "./manychat-key";
import { ManychatNeeds, ManychatRequest } from "./manychat-request";
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
            <ManychatNeeds />
            <SecretsCard secrets={data.webhook_secrets} />
            <KeyCard masked={data.manychat_api_key ?? null} />
            <RequestCard />
            <TryCard />
            <TroubleCard />
          </>
        )}
      </Loaded>
    </Section>
  );
}

function RequestCard() {
  const { manychat } = useTexts("manychat");
  return (
    <Card>
      <CardHeader>
        <CardTitle>3. {manychat.request.title}</CardTitle>
      </CardHeader>
      <CardContent>
        <ManychatRequest secret={null} />
      </CardContent>
    </Card>
  );
}

function TryCard() {
  const { settings } = useTexts("settings");
  const text = settings.manychat;
  return (
    <Card>
      <CardHeader>
        <CardTitle>{text.tryTitle}</CardTitle>
      </CardHeader>
      <CardContent className="grid gap-3 text-sm">
        <p>{text.tryText}</p>
        <Button variant="outline" className="justify-self-start" asChild>
          <Link to="/inbox">{text.toInbox}</Link>
        </Button>
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
