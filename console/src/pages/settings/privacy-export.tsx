import { useInfiniteQuery, useMutation, useQuery, useQueryClient, type UseQueryResult } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { type ComponentProps, useEffect, useState } from "react";

import { call, client } from "@/api/client";
import { FormError } from "@/layout/form-error";
import { LoadMore } from "@/layout/load-more";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";
import { Card, CardContent, CardHeader, CardTitle } from "@/ui/card";
import { Spinner } from "@/ui/spinner";

import { exportQuery, exportsQuery } from "./privacy-queries";
import { type Export, hasEndedSince, isGone, isInWork } from "./privacy-values";
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
                {newest === undefined ? <RequestButton present={null} /> : <NewestExport key={newest.id} listed={newest} />}
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

/** The newest export. `listed` is the export in the list, which can be older than the answer about the export itself. */
function NewestExport({ listed }: { listed: Export }) {
  const { privacy } = useTexts("privacy");
  const text = privacy.export;
  const queries = useQueryClient();
  const query = useQuery(exportQuery(listed.id));
  const hasEnded = query.data !== undefined && hasEndedSince(listed, query.data);
  useEffect(() => {
    // A ready export ends the earlier archives.
    if (hasEnded) void queries.invalidateQueries({ queryKey: exportsQuery.queryKey });
  }, [hasEnded, queries]);
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
          {present?.status === "ready" && <Ready present={present} query={query} />}
          {(present === null || !isInWork(present)) && <RequestButton present={present} />}
        </>
      )}
    </Loaded>
  );
}

/** The exports before the newest one, with their states. The last ready one can be fetched until the next one replaces it. */
function EarlierExports({ exports }: { exports: readonly Export[] }) {
  const { privacy } = useTexts("privacy");
  if (exports.length === 0) return null;
  return (
    <section aria-labelledby="earlier-exports" className="grid gap-2 border-t pt-4">
      <h3 id="earlier-exports" className="font-medium">
        {privacy.export.earlier}
      </h3>
      <ul className="grid gap-2">
        {exports.map((listed) => (
          <EarlierExport key={listed.id} listed={listed} />
        ))}
      </ul>
    </section>
  );
}

function EarlierExport({ listed }: { listed: Export }) {
  const { privacy } = useTexts("privacy");
  const format = useFormat();
  const query = useQuery({ ...exportQuery(listed.id), enabled: false });
  const status = isGone(query.data) ? "expired" : listed.status;
  return (
    <li className="grid gap-2">
      <span>
        {format.dateTime(listed.created_at)} <span className="text-muted-foreground">– {privacy.export.states[status] ?? status}</span>
        {listed.size_bytes != null && <span className="text-muted-foreground">, {format.bytes(listed.size_bytes)}</span>}
      </span>
      {listed.status === "ready" && <EarlierLink query={query} />}
    </li>
  );
}

/** The link is made when it is asked for: each one is recorded in the audit log. The archive may be deleted by then. */
function EarlierLink({ query }: { query: LinkQuery & Pick<UseQueryResult<Export | null>, "data"> }) {
  const { privacy } = useTexts("privacy");
  if (query.data?.status === "ready") return <Ready present={query.data} query={query} />;
  return (
    <>
      <div role="status" className="empty:hidden">
        {isGone(query.data) && <p>{privacy.export.earlierExpired}</p>}
      </div>
      {!isGone(query.data) && <NewLink query={query} variant="outline" size="sm" />}
    </>
  );
}

/** The fields of an export's query by which a new link is requested. */
type LinkQuery = Pick<UseQueryResult, "error" | "isFetching" | "isPaused" | "refetch">;

interface NewLinkProps extends Pick<ComponentProps<typeof Button>, "variant" | "size"> {
  query: LinkQuery;
}

/** Requests a new link to an archive. Without a connection the request waits for it; the layout says so. */
function NewLink({ query, ...look }: NewLinkProps) {
  const { privacy } = useTexts("privacy");
  return (
    <div className="grid justify-items-start gap-2">
      <Button {...look} isBusy={query.isFetching || query.isPaused} onClick={() => void query.refetch()}>
        {privacy.export.newLink}
      </Button>
      <FormError error={query.error} />
    </div>
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
  query: LinkQuery;
}

function Ready({ present, query }: ReadyProps) {
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
          <NewLink query={query} />
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
