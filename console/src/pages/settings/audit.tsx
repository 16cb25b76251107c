import { useInfiniteQuery } from "@tanstack/react-query";
import { ScrollText } from "lucide-react";

import { LoadMore } from "@/layout/load-more";
import { EmptyState } from "@/layout/states";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Card } from "@/ui/card";

import { usePersonName } from "./people";
import { type AuditEntry, auditQuery } from "./queries";
import { Loaded, Section } from "./section";

/** The audit log of the company: actions with their authors, newest first. */
export function AuditSection() {
  const { settings } = useTexts("settings");
  const list = useInfiniteQuery(auditQuery);
  const nameOf = usePersonName();
  return (
    <Section name="audit">
      <Loaded query={list}>
        {({ pages }) => {
          const entries = pages.flatMap(({ data }) => data);
          if (entries.length === 0) return <EmptyState icon={ScrollText} title={settings.audit.empty} />;
          return (
            <>
              <Card>
                <ul className="divide-y">
                  {entries.map((entry) => (
                    <Entry key={entry.id} entry={entry} actor={nameOf(entry.actor)} />
                  ))}
                </ul>
              </Card>
              <LoadMore list={list} />
            </>
          );
        }}
      </Loaded>
    </Section>
  );
}

/** A sentence, and below it, when opened, what support needs: object, details and request. */
function Entry({ entry, actor }: { entry: AuditEntry; actor: string }) {
  const { settings, common } = useTexts("settings");
  const format = useFormat();
  const details = Object.entries<unknown>(entry.details);
  return (
    <li className="px-4 py-2 sm:px-5">
      <details>
        <summary className="flex cursor-pointer flex-wrap items-baseline justify-between gap-x-4 rounded-sm text-sm">
          <span className="min-w-0 break-words">
            <bdi className="font-medium">{actor}</bdi> {settings.audit.actions[entry.action] ?? entry.action}
          </span>
          <span className="text-muted-foreground">{format.dateTime(entry.at)}</span>
        </summary>
        <div className="grid gap-0.5 py-2 font-mono text-xs break-all text-muted-foreground">
          <span>{entry.action}</span>
          <span>{entry.object}</span>
          {details.map(([name, value]) => (
            <span key={name}>
              {name}: {typeof value === "string" ? value : JSON.stringify(value)}
            </span>
          ))}
          {entry.request_id && <span>{common.requestId(entry.request_id)}</span>}
        </div>
      </details>
    </li>
  );
}
