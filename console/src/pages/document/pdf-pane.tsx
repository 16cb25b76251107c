import { useQuery } from "@tanstack/react-query";
import { FileX, Minus, Plus } from "lucide-react";
import { useEffect, useRef, useState } from "react";

import { ApiError } from "@/api/errors";
import { EmptyState, ErrorState, LoadingState } from "@/layout/states";
import type { DocumentItem } from "@/pages/documents/queries";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Progress } from "@/ui/progress";
import { readFromViewer, type ToViewer, type ViewerFailure } from "@/viewer/messages";

import { pdfQuery, useDownloadProgress } from "./pdf-file";
import { loadResource } from "./pdf-resources";

interface PdfPaneProps {
  document: DocumentItem;
  page: number;
  onPages: (pages: number) => void;
  onTurn: (by: 1 | -1) => void;
}

/** The PDF at one page. The bytes are fetched here and handed to the frame, which has neither network nor the session. */
export function PdfPane({ document, page, onPages, onTurn }: PdfPaneProps) {
  const { document: texts } = useTexts("document");
  const bytes = useQuery(pdfQuery(document.id));
  if (bytes.isPending) return <Downloading document={document} />;
  if (bytes.isError) {
    const isMissing = bytes.error instanceof ApiError && bytes.error.status === 404;
    if (isMissing) return <EmptyState icon={FileX} title={texts.noFile} />;
    return <ErrorState error={bytes.error} onRetry={() => void bytes.refetch()} />;
  }
  return <PdfFrame bytes={bytes.data} filename={document.filename} page={page} onPages={onPages} onTurn={onTurn} />;
}

function Downloading({ document }: { document: DocumentItem }) {
  const { document: texts } = useTexts("document");
  const format = useFormat();
  const received = useDownloadProgress(document.id);
  return (
    <LoadingState>
      <div className="mx-auto grid w-full max-w-xs gap-2 px-4 py-16 text-center text-sm text-muted-foreground">
        <p>{texts.loadingFile(format.bytes(received), format.bytes(document.bytes))}</p>
        <Progress label={texts.loadingFile(format.bytes(received), format.bytes(document.bytes))} share={received / Math.max(document.bytes, 1)} />
      </div>
    </LoadingState>
  );
}

interface PdfFrameProps extends Omit<PdfPaneProps, "document"> {
  bytes: ArrayBuffer;
  filename: string;
}

const SCALES = [0.5, 0.75, 1, 1.5, 2, 3] as const;

function PdfFrame({ bytes, filename, page, onPages, onTurn }: PdfFrameProps) {
  const { document: texts } = useTexts("document");
  const format = useFormat();
  const frame = useRef<HTMLIFrameElement>(null);
  const [state, setState] = useState<"starting" | "ready" | "open" | ViewerFailure>("starting");
  const [shownPage, setShownPage] = useState<number | null>(null);
  const [scale, setScale] = useState(1);
  useViewerMessages(frame, (message) => {
    switch (message.type) {
      case "ready":
        // A copy, as the bytes that are handed over are gone here.
        post(frame.current, { type: "open", bytes: bytes.slice(0) });
        setState("ready");
        break;
      case "opened":
        setState("open");
        onPages(message.pages);
        break;
      case "shown":
        setShownPage(message.page);
        break;
      case "failed":
        setState(message.reason);
        break;
      case "turn":
        onTurn(message.by);
        break;
      case "need":
        loadResource(message.kind, message.filename).then(
          (file) => post(frame.current, { type: "resource", id: message.id, bytes: file }),
          () => post(frame.current, { type: "resource", id: message.id, bytes: null }),
        );
        break;
    }
  });
  const label = `${texts.pageOf(page)}, ${filename}`;
  useEffect(() => {
    if (state === "ready" || state === "open") post(frame.current, { type: "show", page, scale, label });
  }, [state, page, scale, label]);
  const at = SCALES.findIndex((known) => known === scale);
  const zoom = (by: 1 | -1) => setScale(SCALES[at + by] ?? scale);
  if (state === "password" || state === "damaged") return <EmptyState icon={FileX} title={texts.failures[state]} />;
  return (
    <div className="relative flex h-full min-h-96 flex-col bg-muted" data-page={shownPage ?? undefined}>
      {shownPage === null && (
        <div className="absolute inset-x-0 top-0 px-6 py-10">
          <LoadingState rows={3} />
        </div>
      )}
      <iframe
        ref={frame}
        src="/viewer.html"
        sandbox="allow-scripts"
        referrerPolicy="no-referrer"
        title={texts.frameTitle(filename)}
        className="h-full w-full flex-1 border-0 scheme-light"
      />
      <div className="absolute right-4 bottom-4 flex items-center gap-1 rounded-md border bg-popover p-1 text-sm shadow-md">
        <Button variant="ghost" size="icon" className="size-8" aria-label={texts.smaller} disabled={at <= 0} onClick={() => zoom(-1)}>
          <Minus aria-hidden />
        </Button>
        <span aria-live="polite" className="min-w-12 text-center">
          {format.percent(scale)}
        </span>
        <Button variant="ghost" size="icon" className="size-8" aria-label={texts.larger} disabled={at >= SCALES.length - 1} onClick={() => zoom(1)}>
          <Plus aria-hidden />
        </Button>
      </div>
    </div>
  );
}

function post(frame: HTMLIFrameElement | null, message: ToViewer): void {
  const transferred = "bytes" in message && message.bytes !== null ? [message.bytes] : [];
  // The frame's origin is opaque, so no origin can name it; only the frame itself gets the message.
  frame?.contentWindow?.postMessage(message, "*", transferred);
}

/** Listens to this frame only, and to nothing that is not a message of the viewer. */
function useViewerMessages(
  frame: { current: HTMLIFrameElement | null },
  handle: (message: NonNullable<ReturnType<typeof readFromViewer>>) => void,
): void {
  const latest = useRef(handle);
  useEffect(() => {
    latest.current = handle;
  });
  useEffect(() => {
    const listen = (event: MessageEvent<unknown>) => {
      if (frame.current === null || event.source !== frame.current.contentWindow) return;
      const message = readFromViewer(event.data);
      if (message !== null) latest.current(message);
    };
    window.addEventListener("message", listen);
    return () => window.removeEventListener("message", listen);
  }, [frame]);
}
