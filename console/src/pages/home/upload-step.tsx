import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { FileUp } from "lucide-react";

import { readyDocumentsQuery } from "@/pages/documents/queries";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";
import { Spinner } from "@/ui/spinner";

import { newestDocumentQuery } from "./queries";

export function UploadStep() {
  const { start } = useTexts("start");
  const { upload } = start;
  const { data: ready = 0 } = useQuery(readyDocumentsQuery);
  const { data: newest } = useQuery(newestDocumentQuery);
  const isReading = newest != null && newest.status !== "processed" && newest.status !== "failed";
  return (
    <div className="grid gap-3 text-sm">
      <p className="text-muted-foreground">{upload.lead}</p>
      <div role="status" className="grid gap-2 break-words empty:hidden">
        {isReading && (
          <p className="flex items-center gap-2">
            <Spinner /> {upload.reading(newest.filename)}
          </p>
        )}
        {newest?.status === "failed" && <Alert variant="warning">{upload.failed(newest.filename)}</Alert>}
        {ready > 0 && <p className="font-medium text-success">{upload.ready(ready)}</p>}
      </div>
      <Button className="justify-self-start" variant={ready > 0 ? "outline" : "default"} asChild>
        <Link to="/documents">
          <FileUp aria-hidden /> {upload.action}
        </Link>
      </Button>
    </div>
  );
}
