import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { EllipsisVertical, FileSpreadsheet, FileText, FileType, type LucideIcon, RefreshCw, RotateCcw, Trash2 } from "lucide-react";
import { useRef } from "react";

import { call, client } from "@/api/client";
import { useFormat, useIsOwner } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Menu, MenuContent, MenuItem, MenuSeparator, MenuTrigger } from "@/ui/menu";
import { Progress } from "@/ui/progress";

import { DocumentStatusBadge } from "./document-status";
import { ACCEPTED } from "./formats";
import type { DocumentItem } from "./queries";
import { UnreadPages } from "./unread-pages";
import { addUploads } from "./uploads";

const ICONS: Readonly<Record<string, LucideIcon>> = { xlsx: FileSpreadsheet, csv: FileSpreadsheet, pdf: FileType };

/** A document of the list: what it is, how far it is read, what was not read, what can be done. */
export function DocumentRow({ document, onDelete }: { document: DocumentItem; onDelete: () => void }) {
  const { documents } = useTexts("documents");
  const format = useFormat();
  const isOwner = useIsOwner();
  const Icon = ICONS[document.format] ?? FileText;
  const { status, pages_total: pages, pages_done: done } = document;
  return (
    <li className="flex items-start gap-3 px-4 py-3">
      <Icon aria-hidden className="mt-0.5 size-5 shrink-0 text-muted-foreground" />
      <div className="grid min-w-0 flex-1 gap-1.5">
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <Link
            to="/documents/$documentId"
            params={{ documentId: document.id }}
            className="min-w-0 font-medium [overflow-wrap:anywhere] underline-offset-4 hover:underline"
          >
            <bdi>{document.filename}</bdi>
          </Link>
          <DocumentStatusBadge document={document} />
        </div>
        <p className="text-sm text-muted-foreground">
          {[
            document.format.toUpperCase(),
            typeof pages === "number" && (document.format === "pdf" ? documents.pages(pages) : documents.parts(pages)),
            format.bytes(document.bytes),
            format.dateTime(document.upload_date),
          ]
            .filter((part) => typeof part === "string")
            .join(" · ")}
        </p>
        {status === "pending" && typeof pages === "number" && (
          <div className="grid max-w-sm gap-1">
            <p className="text-sm text-muted-foreground">{documents.readSoFar(done, pages)}</p>
            <Progress label={documents.readingOf(document.filename)} share={pages > 0 ? done / pages : null} />
          </div>
        )}
        {status === "failed" && <p className="text-sm text-destructive">{document.error ?? documents.failedUnknown}</p>}
        <UnreadPages document={document} />
      </div>
      {isOwner && <DocumentMenu document={document} onDelete={onDelete} />}
    </li>
  );
}

function DocumentMenu({ document, onDelete }: { document: DocumentItem; onDelete: () => void }) {
  const { documents, common } = useTexts("documents");
  const queries = useQueryClient();
  const input = useRef<HTMLInputElement>(null);
  const retry = useMutation({
    mutationFn: () => call(client.POST("/api/v1/documents/{id}/retry", { params: { path: { id: document.id } } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["documents"] }),
  });
  return (
    <>
      <Menu>
        <MenuTrigger asChild>
          <Button variant="ghost" size="icon" isBusy={retry.isPending} aria-label={documents.actionsOf(document.filename)}>
            <EllipsisVertical aria-hidden />
          </Button>
        </MenuTrigger>
        <MenuContent align="end">
          <MenuItem onSelect={() => input.current?.click()}>
            <RefreshCw aria-hidden /> {documents.newVersion}
          </MenuItem>
          {document.status === "failed" && (
            <MenuItem onSelect={() => retry.mutate()}>
              <RotateCcw aria-hidden /> {documents.retry}
            </MenuItem>
          )}
          <MenuSeparator />
          <MenuItem onSelect={onDelete} className="text-destructive">
            <Trash2 aria-hidden /> {common.delete}…
          </MenuItem>
        </MenuContent>
      </Menu>
      <input
        ref={input}
        type="file"
        hidden
        accept={ACCEPTED}
        aria-label={`${documents.newVersion}: ${document.filename}`}
        onChange={(event) => {
          addUploads([...(event.target.files ?? [])], { id: document.id, filename: document.filename });
          event.target.value = "";
        }}
      />
    </>
  );
}
