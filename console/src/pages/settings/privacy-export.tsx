import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { useEffect, useState } from "react";

import { call, client } from "@/api/client";
import { LoadMore } from "@/layout/load-more";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";
import { Spinner } from "@/ui/spinner";

import { exportQuery, exportsQuery } from "./privacy-queries";
import { type Export, isInWork } from "./privacy-values";
import { Loaded } from "./section";

/** The export of all data: the button that requests it, its progress, the link to the archive, and earlier exports. */
export function ExportCard() {
  const { privacy } = useTexts("privacy");
  const list = useInfiniteQuery(exportsQuery);
  return (
    <Card>
      <CardHeader>
        <CardTitle>{privacy.export.title}</CardTitle>
      </CardHeader>
      <CardContent className="grid gap-4 text-sm">
        <p className="text-muted-foreground">{privacy.export.lead}</p>
        <Loaded query={list}>
          {({ pages }) => {
            const [newest, ...earlier] = pages.flatMap(({ data }) => data);
            return (
              <>
                {newest === undefined ? <RequestButton present={null} /> : <NewestExport key={newest.id} id={newest.id} />}
                <EarlierExports exports={earlier} />
                <LoadMore list={list} />
              </>
            );
          }}
        </Loaded>
      </CardContent>
    </Card>
  );
}

function NewestExport({ id }: { id: string }) {
  const { privacy } = useTexts("privacy");
  const text = privacy.export;
  const query = useQuery(exportQuery(id));
  return (
    <Loaded query={query}>
      {(present) => (
        <>
          <div role="status" className="grid gap-3 empty:hidden">
            {present !== null && isInWork(present) && <InWork present={present} />}
            {present?.status === "failed" && (
              <Alert variant="destructive">
                {text.failed} {text.failures[present.error_code ?? ""]}
              </Alert>
            )}
            {present?.status === "expired" && <p>{text.expired}</p>}
          </div>
          {present?.status === "ready" && <Ready present={present} onNewLink={() => void query.refetch()} isBusy={query.isFetching} />}
          {(present === null || !isInWork(present)) && <RequestButton present={present} />}
        </>
      )}
    </Loaded>
  );
}

/** The exports before the newest one, with their states. The last ready one can be fetched until the next one replaces it. */
function EarlierExports({ exports }: { exports: readonly Export[] }) {
  const { privacy } = useTexts("privacy");
  const text = privacy.export;
  const format = useFormat();
  if (exports.length === 0) return null;
  return (
    <section aria-labelledby="earlier-exports" className="grid gap-2 border-t pt-4">
      <h3 id="earlier-exports" className="font-medium">
        {text.earlier}
      </h3>
      <ul className="grid gap-2">
        {exports.map(({ id, status, created_at, size_bytes }) => (
          <li key={id} className="grid gap-2">
            <span>
              {format.dateTime(created_at)} <span className="text-muted-foreground">– {text.states[status] ?? status}</span>
              {size_bytes != null && <span className="text-muted-foreground">, {format.bytes(size_bytes)}</span>}
            </span>
            {status === "ready" && <EarlierLink id={id} />}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** The link is made when it is asked for: each one is recorded in the audit log. */
function EarlierLink({ id }: { id: string }) {
  const { privacy } = useTexts("privacy");
  const query = useQuery({ ...exportQuery(id), enabled: false });
  if (query.data?.status === "ready") return <Ready present={query.data} onNewLink={() => void query.refetch()} isBusy={query.isFetching} />;
  return (
    <Button variant="outline" size="sm" className="justify-self-start" isBusy={query.isFetching} onClick={() => void query.refetch()}>
      {privacy.export.newLink}
    </Button>
  );
}

function InWork({ present }: { present: Export }) {
  const { privacy } = useTexts("privacy");
  const format = useFormat();
  return (
    <div className="flex items-start gap-3">
      <Spinner />
      <p>
        {privacy.export.running} <span className="text-muted-foreground">{privacy.export.since(format.dateTime(present.created_at))}</span>
      </p>
    </div>
  );
}

interface ReadyProps {
  present: Export;
  onNewLink: () => void;
  isBusy: boolean;
}

function Ready({ present, onNewLink, isBusy }: ReadyProps) {
  const { privacy } = useTexts("privacy");
  const text = privacy.export;
  const format = useFormat();
  const link = present.download;
  const hasEnded = useHasPassed(link?.expires_at ?? null);
  return (
    <div className="grid gap-3 rounded-md border px-4 py-3">
      <p>
        {text.ready(format.dateTime(present.finished_at ?? present.created_at), format.bytes(present.size_bytes ?? 0))}{" "}
        {present.expires_at != null && <span className="text-muted-foreground">{text.deletedAt(format.dateTime(present.expires_at))}</span>}
      </p>
      {link == null || hasEnded ? (
        <>
          <p role="status">{text.linkEnded}</p>
          <Button className="justify-self-start" isBusy={isBusy} onClick={onNewLink}>
            {text.newLink}
          </Button>
        </>
      ) : (
        <>
          <Button className="justify-self-start" asChild>
            <a href={link.url} download>
              <Download aria-hidden /> {text.download}
            </a>
          </Button>
          <p className="text-muted-foreground">{text.linkUntil(format.time(link.expires_at))}</p>
        </>
      )}
    </div>
  );
}

/** True when the time `iso` has passed; rerenders at that moment. */
function useHasPassed(iso: string | null): boolean {
  const [passed, setPassed] = useState<string | null>(null);
  useEffect(() => {
    if (iso === null) return undefined;
    const timer = setTimeout(() => setPassed(iso), Math.max(0, Date.parse(iso) - Date.now()));
    return () => clearTimeout(timer);
  }, [iso]);
  return iso !== null && passed === iso;
}

/** Requests an export. While one is in work, the API answers with that one. */
function RequestButton({ present }: { present: Export | null }) {
  const { privacy } = useTexts("privacy");
  const text = privacy.export;
  const queries = useQueryClient();
  const request = useMutation({
    mutationFn: async () => (await call(client.POST("/api/v1/privacy/exports"))).data,
    onSuccess: (requested) => {
      queries.setQueryData(exportQuery(requested.id).queryKey, requested);
      return queries.invalidateQueries({ queryKey: exportsQuery.queryKey });
    },
  });
  const isReady = present?.status === "ready";
  return (
    <div className="grid gap-2">
      {present === null && <p>{text.none}</p>}
      <Button variant={isReady ? "outline" : "default"} className="justify-self-start" isBusy={request.isPending} onClick={() => request.mutate()}>
        {present === null ? text.request : text.again}
      </Button>
      {isReady && <p className="text-muted-foreground">{text.replaces}</p>}
    </div>
  );
}
