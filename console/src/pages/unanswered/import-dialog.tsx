import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { send, type Schemas } from "@/api/client";
import { ApiError } from "@/api/errors";
import { FormError } from "@/layout/form-error";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";

/** Rows with an error that are listed; a wrong file has one in each. */
const MAX_LISTED_ERRORS = 50;
const MAX_BYTES = 4 * 1024 * 1024;

/** Imports approved answers from CSV: all rows, or none with the line of each error. */
export function ImportDialog({ onClose }: { onClose: () => void }) {
  const { unanswered, common } = useTexts("unanswered");
  const queries = useQueryClient();
  const [file, setFile] = useState<File | null>(null);
  const upload = useMutation({
    meta: { showsError: true },
    mutationFn: async (chosen: File) => {
      // Not as text/csv: a spreadsheet of Windows may have written another encoding, which the server knows.
      const headers = { "content-type": "application/octet-stream" };
      const url = `${window.location.origin}/api/v1/approved-answers/import`;
      const response = await send(new Request(url, { method: "POST", headers, body: chosen }));
      return ((await response.json()) as { data: Schemas["AnswerImport"] }).data;
    },
    onSuccess: () => Promise.all(["approved-answers", "unanswered"].map((name) => queries.invalidateQueries({ queryKey: [name] }))),
  });
  const isTooLarge = file !== null && file.size > MAX_BYTES;
  return (
    <Dialog
      title={unanswered.importTitle}
      onClose={onClose}
      actions={
        <>
          <Button variant="outline" onClick={onClose}>
            {upload.isSuccess ? common.close : common.cancel}
          </Button>
          <Button disabled={file === null || isTooLarge} isBusy={upload.isPending} onClick={() => file !== null && upload.mutate(file)}>
            {unanswered.import}
          </Button>
        </>
      }
    >
      <div className="grid grid-cols-[minmax(0,1fr)] gap-4">
        <Field label={unanswered.importFile} hint={unanswered.importHint} error={isTooLarge ? unanswered.importTooLarge : undefined}>
          {(control) => (
            <Input
              {...control}
              type="file"
              accept=".csv,.tsv,.txt,text/csv"
              className="h-auto py-1.5"
              onChange={(event) => {
                setFile(event.target.files?.[0] ?? null);
                upload.reset();
              }}
            />
          )}
        </Field>
        {upload.isSuccess && (
          <Alert variant="success" role="status">
            {unanswered.imported(upload.data.created, upload.data.updated, upload.data.unchanged)}
          </Alert>
        )}
        <FormError error={upload.error} />
        <RowErrors error={upload.error} />
      </div>
    </Dialog>
  );
}

function RowErrors({ error }: { error: Error | null }) {
  const { unanswered } = useTexts("unanswered");
  const rows = error instanceof ApiError ? error.fieldErrors : [];
  if (rows.length === 0) return null;
  return (
    <div className="grid gap-1 text-sm">
      <p className="font-medium">{unanswered.nothingImported}</p>
      {/* The list scrolls, so the keyboard must reach it. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <ul tabIndex={0} aria-label={unanswered.nothingImported} className="max-h-48 overflow-y-auto rounded-md border px-3 py-2">
        {rows.slice(0, MAX_LISTED_ERRORS).map(({ line, field, message }, at) => (
          <li key={at}>
            {line === undefined ? "" : `${unanswered.line(line)} · `}
            {field}: {message}
          </li>
        ))}
        {rows.length > MAX_LISTED_ERRORS && <li>{unanswered.moreErrors(rows.length - MAX_LISTED_ERRORS)}</li>}
      </ul>
    </div>
  );
}
