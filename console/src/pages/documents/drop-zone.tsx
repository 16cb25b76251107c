import { Upload } from "lucide-react";
import { type DragEvent, useEffect, useRef, useState } from "react";

import { cn } from "@/lib/cn";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";

import { ACCEPTED } from "./formats";
import { addUploads } from "./uploads";

/** Takes files by a drop anywhere on the page, or by a choice. */
export function DropZone() {
  const { documents } = useTexts("documents");
  const input = useRef<HTMLInputElement>(null);
  const [isOver, setOver] = useState(false);
  useFileDrop(setOver);
  return (
    <div
      className={cn(
        "flex flex-wrap items-center justify-between gap-x-6 gap-y-3 rounded-lg border border-dashed border-input bg-card px-5 py-4",
        isOver && "border-primary bg-accent",
      )}
    >
      <div className="flex min-w-0 items-center gap-4">
        <Upload aria-hidden className="size-6 shrink-0 text-muted-foreground" />
        <div className="min-w-0">
          <p className="font-medium">{isOver ? documents.dropNow : documents.drop}</p>
          <p className="text-sm text-muted-foreground">{documents.formats}</p>
        </div>
      </div>
      <Button onClick={() => input.current?.click()}>{documents.choose}</Button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        accept={ACCEPTED}
        aria-label={documents.choose}
        onChange={(event) => {
          addUploads([...(event.target.files ?? [])]);
          // The same file may be chosen again after a change.
          event.target.value = "";
        }}
      />
    </div>
  );
}

const hasFiles = (event: Pick<DragEvent, "dataTransfer"> | globalThis.DragEvent) => event.dataTransfer?.types.includes("Files") === true;

/** A file dropped beside the target would leave the console for the file: the whole window takes it. */
function useFileDrop(setOver: (isOver: boolean) => void): void {
  useEffect(() => {
    let depth = 0;
    const enter = (event: globalThis.DragEvent) => {
      if (!hasFiles(event)) return;
      depth += 1;
      setOver(true);
    };
    const leave = (event: globalThis.DragEvent) => {
      if (!hasFiles(event)) return;
      depth -= 1;
      if (depth <= 0) setOver(false);
    };
    const over = (event: globalThis.DragEvent) => {
      if (hasFiles(event)) event.preventDefault();
    };
    const drop = (event: globalThis.DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth = 0;
      setOver(false);
      addUploads([...(event.dataTransfer?.files ?? [])]);
    };
    window.addEventListener("dragenter", enter);
    window.addEventListener("dragleave", leave);
    window.addEventListener("dragover", over);
    window.addEventListener("drop", drop);
    return () => {
      window.removeEventListener("dragenter", enter);
      window.removeEventListener("dragleave", leave);
      window.removeEventListener("dragover", over);
      window.removeEventListener("drop", drop);
    };
  }, [setOver]);
}
