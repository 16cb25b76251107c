import { useMutation, useQueryClient } from "@tanstack/react-query";

import { call, client } from "@/api/client";
import { ApiError } from "@/api/errors";
import { FormError } from "@/layout/form-error";
import { showDone } from "@/layout/toasts";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/dialog";

import type { PromptField } from "./queries";

/** Puts a draft into force. Where golden questions would fail, asks once and names them. */
export function SavePrompt({ field, draft, isChanged }: { field: PromptField; draft: string; isChanged: boolean }) {
  const { playground } = useTexts("playground");
  const queries = useQueryClient();
  const save = useMutation({
    meta: { showsError: true },
    mutationFn: (accept: boolean) => {
      const prompt = draft.trim() === "" ? null : draft;
      return call(client.PATCH("/api/v1/companies/me/config", { body: { [field]: prompt, ...(accept && { accept_regressions: true }) } }));
    },
    onSuccess: () => {
      showDone(playground.savedPrompt);
      return Promise.all(["company-config", "context", "golden-questions"].map((name) => queries.invalidateQueries({ queryKey: [name] })));
    },
  });
  const broken = brokenQuestions(save.error);
  return (
    <>
      <Button disabled={!isChanged} isBusy={save.isPending} onClick={() => save.mutate(false)}>
        {playground.savePrompt}
      </Button>
      {broken === null && <FormError error={save.error} />}
      {broken !== null && (
        <ConfirmDialog
          title={playground.breaksTitle}
          confirm={playground.saveAnyway}
          isBusy={save.isPending}
          onConfirm={() => save.mutate(true)}
          onClose={() => save.reset()}
          text={
            <div className="grid gap-2">
              <p>{playground.breaksText}</p>
              <ul className="list-disc pl-5">
                {broken.map((question) => (
                  <li key={question} dir="auto" className="[overflow-wrap:anywhere]">
                    {question}
                  </li>
                ))}
              </ul>
            </div>
          }
        />
      )}
    </>
  );
}

/** The golden questions that a refused prompt would break; null for any other error. */
function brokenQuestions(error: Error | null): string[] | null {
  if (!(error instanceof ApiError) || error.code !== "golden_regressions") return null;
  const { regressions } = error.details as { regressions?: { question?: unknown }[] };
  return (regressions ?? []).map(({ question }) => String(question));
}
