import { Info } from "lucide-react";
import type { ReactNode } from "react";

import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { CopyLine } from "@/ui/copy-line";

import { CONTENT_TYPE, REQUEST_BODY, SECRET_HEADER, webhookUrl } from "./manychat-guide";

/** What a company needs at ManyChat, before the first step. */
export function ManychatNeeds() {
  const { manychat } = useTexts("manychat");
  return (
    <Alert variant="warning" className="items-start">
      <Info aria-hidden className="mt-0.5" />
      <p className="min-w-0 flex-1 basis-60">
        <strong className="font-semibold">{manychat.needsTitle}</strong> {manychat.needs}
      </p>
    </Alert>
  );
}

/** The numbered steps on ManyChat's own screens, with what is copied into each. `secret` is null when it cannot be shown any more. */
export function ManychatRequest({ secret }: { secret: string | null }) {
  const { manychat } = useTexts("manychat");
  const text = manychat.request;
  return (
    <ol className="grid min-w-0 list-decimal gap-4 pl-5 text-sm marker:font-medium">
      <Step text={text.open} />
      <Step text={text.action} />
      <Step text={text.type} />
      <Step text={text.url}>
        <CopyLine label="Request URL" text={webhookUrl()} />
      </Step>
      <Step text={text.headers}>
        <Header name={SECRET_HEADER} value={secret} label={manychat.secret} />
        <Header name="Content-Type" value={CONTENT_TYPE} label={CONTENT_TYPE} />
      </Step>
      <Step text={text.body}>
        <CopyLine label="Body" text={REQUEST_BODY} />
        <ul className="grid list-disc gap-1 pl-5 text-muted-foreground">
          {text.bodyHints.map((hint) => (
            <li key={hint}>{hint}</li>
          ))}
        </ul>
      </Step>
      <Step text={text.mapping} />
      <Step text={text.test} />
    </ol>
  );
}

function Step({ text, children }: { text: string; children?: ReactNode }) {
  return (
    <li className="min-w-0">
      <div className="grid min-w-0 gap-2">
        <p>{text}</p>
        {children}
      </div>
    </li>
  );
}

/** A line of ManyChat's "Headers": its name and its value. */
function Header({ name, value, label }: { name: string; value: string | null; label: string }) {
  const { manychat } = useTexts("manychat");
  const text = manychat.request;
  return (
    <dl className="grid min-w-0 gap-2 rounded-md border p-3 sm:grid-cols-2">
      <div className="grid min-w-0 content-start gap-1">
        <dt className="text-xs text-muted-foreground">{text.headerName}</dt>
        <dd className="min-w-0">
          <CopyLine label={name} text={name} />
        </dd>
      </div>
      <div className="grid min-w-0 content-start gap-1">
        <dt className="text-xs text-muted-foreground">{text.headerValue}</dt>
        <dd className="min-w-0">{value === null ? <span className="block py-2">{text.secretOfStep1}</span> : <CopyLine label={label} text={value} />}</dd>
      </div>
    </dl>
  );
}
