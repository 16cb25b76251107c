import { useMutation, useQueryClient } from "@tanstack/react-query";

import { callEmpty, client } from "@/api/client";
import { FormError } from "@/layout/form-error";
import { showDone } from "@/layout/toasts";
import { useTexts } from "@/texts";
import { ConfirmDialog } from "@/ui/dialog";

import type { DocumentItem } from "./queries";

interface DeleteProps {
  document: DocumentItem;
  onClose: () => void;
  onDeleted?: () => void;
}

/** Asks once before a document goes, by its name and by what goes with it. */
export function DeleteDocument({ document, onClose, onDeleted }: DeleteProps) {
  const { documents } = useTexts("documents");
  const queries = useQueryClient();
  const remove = useMutation({
    meta: { showsError: true },
    mutationFn: () => callEmpty(client.DELETE("/api/v1/documents/{id}", { params: { path: { id: document.id } } })),
    onSuccess: () => {
      showDone(documents.deleted(document.filename));
      onClose();
      onDeleted?.();
      queries.removeQueries({ queryKey: ["documents", "one", document.id] });
      return queries.invalidateQueries({ queryKey: ["documents"] });
    },
  });
  return (
    <ConfirmDialog
      title={documents.deleteTitle}
      confirm={documents.deleteConfirm}
      isBusy={remove.isPending}
      onConfirm={() => remove.mutate()}
      onClose={onClose}
      text={
        <div className="grid gap-3">
          <p className="font-medium [overflow-wrap:anywhere]">
            <bdi>{document.filename}</bdi>
          </p>
          <p>{documents.deleteText(document.format === "pdf" ? (document.pages_total ?? 0) : 0)}</p>
          <FormError error={remove.error} />
        </div>
      }
    />
  );
}
