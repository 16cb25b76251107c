import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { CircleCheck } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useForm } from "react-hook-form";
import { z } from "zod";

import { call, client, type Schemas } from "@/api/client";
import { FormError } from "@/layout/form-error";
import { ErrorState, LoadingState } from "@/layout/states";
import { showFieldErrors } from "@/lib/forms";
import { ManychatNeeds, ManychatRequest } from "@/pages/settings/manychat-request";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";
import { CopyLine } from "@/ui/copy-line";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";
import { Spinner } from "@/ui/spinner";

import { companyQuery, firstMessageQuery, unreadQuery } from "./queries";

type Company = Schemas["CustomerDetails"];

/** The guide of docs/MANYCHAT.md, with what is to be copied, and the first message as it comes. */
export function ManychatStep() {
  const { start, manychat: guide } = useTexts("start", "manychat");
  const { manychat } = start;
  const company = useQuery(companyQuery);
  const [secret, setSecret] = useState<Schemas["NewWebhookSecret"] | null>(null);
  if (company.data === undefined) {
    return company.error === null ? <LoadingState rows={3} /> : <ErrorState error={company.error} onRetry={() => void company.refetch()} />;
  }
  return (
    <div className="grid min-w-0 gap-3 text-sm">
      <p className="text-muted-foreground">{manychat.lead}</p>
      <ManychatNeeds />
      <ol className="grid min-w-0 gap-5">
        <Part number={1} title={manychat.secretTitle}>
          <SecretPart company={company.data} secret={secret} onSecret={setSecret} />
        </Part>
        <Part number={2} title={manychat.keyTitle}>
          <KeyPart stored={company.data.manychat_api_key ?? null} />
        </Part>
        <Part number={3} title={guide.request.title}>
          <ManychatRequest secret={secret?.webhook_secret ?? null} />
        </Part>
        <Part number={4} title={manychat.messageTitle}>
          <MessagePart />
        </Part>
      </ol>
    </div>
  );
}

function Part({ number, title, children }: { number: number; title: string; children: ReactNode }) {
  return (
    <li className="grid min-w-0 gap-2">
      <h3 className="font-semibold">
        {number}. {title}
      </h3>
      {children}
    </li>
  );
}

interface SecretProps {
  company: Company;
  secret: Schemas["NewWebhookSecret"] | null;
  onSecret: (secret: Schemas["NewWebhookSecret"]) => void;
}

function SecretPart({ company, secret, onSecret }: SecretProps) {
  const { start, manychat: guide } = useTexts("start", "manychat");
  const { manychat } = start;
  const format = useFormat();
  const queries = useQueryClient();
  const make = useMutation({
    mutationFn: async () => (await call(client.POST("/api/v1/customers/me/webhook-secret"))).data,
    onSuccess: async (made) => {
      onSecret(made);
      await queries.invalidateQueries({ queryKey: companyQuery.queryKey });
    },
    meta: { showsError: true },
  });
  const newest = company.webhook_secrets[0];
  if (secret !== null) {
    return (
      <div className="grid min-w-0 gap-2" role="status">
        <p className="text-muted-foreground">
          {guide.secretLead} {manychat.secretOnce}
        </p>
        <CopyLine label={guide.secret} text={secret.webhook_secret} />
        {secret.older_expires_at != null && <p>{manychat.secretUntil(format.dateTime(secret.older_expires_at))}</p>}
      </div>
    );
  }
  return (
    <div className="grid justify-items-start gap-2">
      <p className="text-muted-foreground">
        {newest === undefined ? guide.secretLead : `${manychat.secretExists(format.dateTime(newest.created_at))} ${manychat.secretReplaces}`}
      </p>
      <FormError error={make.error} />
      <Button variant={newest === undefined ? "default" : "outline"} isBusy={make.isPending} onClick={() => make.mutate()}>
        {newest === undefined ? manychat.secretMake : manychat.secretAgain}
      </Button>
    </div>
  );
}

function KeyPart({ stored }: { stored: string | null }) {
  const { start, manychat: guide } = useTexts("start", "manychat");
  const { manychat } = start;
  const { required } = useTexts().common;
  const queries = useQueryClient();
  const [isChanging, setChanging] = useState(false);
  const form = useForm({
    resolver: zodResolver(z.object({ manychat_api_key: z.string().trim().min(1, required) })),
    defaultValues: { manychat_api_key: "" },
  });
  const save = useMutation({
    mutationFn: async (body: { manychat_api_key: string }) => (await call(client.PATCH("/api/v1/customers/me", { body }))).data,
    onSuccess: (company) => {
      form.reset();
      setChanging(false);
      queries.setQueryData(companyQuery.queryKey, company);
    },
    onError: (error) => showFieldErrors(form, error),
    meta: { showsError: true },
  });
  if (stored !== null && !isChanging) {
    return (
      <div className="flex flex-wrap items-center gap-3">
        <span className="flex items-center gap-2 font-medium text-success" role="status">
          <CircleCheck aria-hidden className="size-4" /> {manychat.keyStored(stored)}
        </span>
        <Button variant="outline" size="sm" onClick={() => setChanging(true)}>
          {manychat.keyChange}
        </Button>
      </div>
    );
  }
  return (
    <form noValidate className="grid justify-items-start gap-3" onSubmit={(event) => void form.handleSubmit((values) => save.mutate(values))(event)}>
      <Field label={manychat.key} hint={guide.keyLead} error={form.formState.errors.manychat_api_key?.message} className="w-full">
        {(control) => <Input {...control} autoComplete="off" spellCheck={false} className="max-w-md font-mono" {...form.register("manychat_api_key")} />}
      </Field>
      <FormError error={form.formState.errors.manychat_api_key ? null : save.error} />
      <Button type="submit" isBusy={save.isPending}>
        {manychat.keySave}
      </Button>
    </form>
  );
}

/** Waits for the first message, and says so when one came that could not be read. */
function MessagePart() {
  const { manychat } = useTexts("start").start;
  const format = useFormat();
  const { data: first } = useQuery(firstMessageQuery);
  const hasMessage = first != null;
  const { data: unread } = useQuery({ ...unreadQuery, enabled: !hasMessage });
  return (
    <div className="grid min-w-0 gap-2">
      {!hasMessage && <p className="text-muted-foreground">{manychat.messageLead}</p>}
      <div role="status">
        {hasMessage ? (
          <Alert variant="success">
            <CircleCheck aria-hidden />
            <span dir="auto" className="min-w-0 flex-1 break-words">
              {manychat.received(first.display_name ?? first.user_phone ?? manychat.unknown, format.short(first.last_message_at))}
            </span>
            <Button size="sm" variant="outline" asChild>
              <Link to="/inbox" search={{ conversation: first.id }}>
                {manychat.openIt}
              </Link>
            </Button>
          </Alert>
        ) : (
          <p className="flex items-center gap-2 font-medium">
            <Spinner /> {manychat.waiting}
          </p>
        )}
        {!hasMessage && unread !== undefined && unread.total > 0 && <Alert variant="warning">{manychat.unread(unread.total)}</Alert>}
      </div>
      {!hasMessage && unread?.last != null && (
        <details>
          <summary className="text-sm font-medium">{manychat.unreadShow}</summary>
          <pre dir="auto" className="mt-2 max-h-60 overflow-auto rounded-md border bg-muted p-3 text-xs whitespace-pre-wrap [overflow-wrap:anywhere]">
            {unread.last.body}
          </pre>
        </details>
      )}
    </div>
  );
}
