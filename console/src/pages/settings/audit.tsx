import { useInfiniteQuery } from "@tanstack/react-query";
import { ScrollText } from "lucide-react";

import { LoadMore } from "@/layout/load-more";
import { EmptyState } from "@/layout/states";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Card } from "@/ui/card";
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from "@/ui/table";

import { usePersonName } from "./people";
import { type AuditEntry, auditQuery } from "./queries";
import { Loaded, Section } from "./section";

/** Who did what in the company, newest first. */
export function AuditSection() {
  const { settings } = useTexts();
  const list = useInfiniteQuery(auditQuery);
  return (
    <Section name="audit">
      <Loaded query={list}>
        {({ pages }) => {
          const entries = pages.flatMap(({ data }) => data);
          if (entries.length === 0) return <EmptyState icon={ScrollText} title={settings.audit.empty} />;
          return (
            <>
              <Card>
                <AuditTable entries={entries} />
              </Card>
              <LoadMore list={list} />
            </>
          );
        }}
      </Loaded>
    </Section>
  );
}

function AuditTable({ entries }: { entries: readonly AuditEntry[] }) {
  const { settings } = useTexts();
  const text = settings.audit;
  const format = useFormat();
  const nameOf = usePersonName();
  return (
    <Table aria-label={settings.sections.audit}>
      <TableHeader>
        <TableRow>
          <TableHead>{text.at}</TableHead>
          <TableHead>{text.actor}</TableHead>
          <TableHead>{text.action}</TableHead>
          <TableHead>{text.object}</TableHead>
        </TableRow>
      </TableHeader>
      <TableBody>
        {entries.map((entry) => (
          <TableRow key={entry.id}>
            <TableCell className="align-top whitespace-nowrap">{format.dateTime(entry.at)}</TableCell>
            <TableCell className="max-w-52 align-top break-words">
              <bdi>{nameOf(entry.actor)}</bdi>
            </TableCell>
            <TableCell className="min-w-40 align-top">{text.actions[entry.action] ?? entry.action}</TableCell>
            <TableCell className="max-w-80 align-top text-xs text-muted-foreground">
              <Details entry={entry} />
            </TableCell>
          </TableRow>
        ))}
      </TableBody>
    </Table>
  );
}

function Details({ entry }: { entry: AuditEntry }) {
  const details = Object.entries<unknown>(entry.details);
  return (
    <div className="grid gap-0.5 font-mono break-all">
      <span>{entry.object}</span>
      {details.map(([name, value]) => (
        <span key={name}>
          {name}: {typeof value === "string" ? value : JSON.stringify(value)}
        </span>
      ))}
      {entry.request_id && <span>request: {entry.request_id}</span>}
    </div>
  );
}
