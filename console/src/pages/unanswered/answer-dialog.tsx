import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useId } from "react";
import { useForm } from "react-hook-form";

import { call, client } from "@/api/client";
import { FormError } from "@/layout/form-error";
import { showDone } from "@/layout/toasts";
import { showFieldErrors } from "@/lib/forms";
import { useCompany } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";

import { AnswerFields, type AnswerValues, answerSchema } from "./answer-fields";
import type { ApprovedAnswer } from "./queries";

/** Adds an approved answer, or changes one. */
export function AnswerDialog({ answer, onClose }: { answer: ApprovedAnswer | null; onClose: () => void }) {
  const { unanswered, common } = useTexts("unanswered");
  const { tenant } = useCompany();
  const queries = useQueryClient();
  const formId = useId();
  const form = useForm<AnswerValues>({
    resolver: zodResolver(answerSchema(unanswered).omit({ golden: true })),
    defaultValues: {
      question: answer?.question ?? "",
      answer: answer?.answer ?? "",
      language: (answer?.language ?? tenant.language) === "en" ? "en" : "fr",
    },
  });
  const save = useMutation({
    meta: { showsError: true },
    mutationFn: (body: AnswerValues) =>
      answer === null
        ? call(client.POST("/api/v1/approved-answers", { body }))
        : call(client.PATCH("/api/v1/approved-answers/{id}", { params: { path: { id: answer.id } }, body })),
    onSuccess: async () => {
      showDone(unanswered.saved);
      onClose();
      await Promise.all(["approved-answers", "unanswered"].map((name) => queries.invalidateQueries({ queryKey: [name] })));
    },
    onError: (error) => showFieldErrors(form, error),
  });
  return (
    <Dialog
      title={answer === null ? unanswered.newAnswer : unanswered.editAnswer}
      className="max-w-2xl"
      onClose={onClose}
      actions={
        <>
          <Button variant="outline" onClick={onClose}>
            {common.cancel}
          </Button>
          <Button type="submit" form={formId} isBusy={save.isPending}>
            {common.save}
          </Button>
        </>
      }
    >
      <form id={formId} noValidate className="grid grid-cols-[minmax(0,1fr)] gap-5" onSubmit={(event) => void form.handleSubmit((values) => save.mutate(values))(event)}>
        <AnswerFields form={form} />
        <FormError error={save.error} />
      </form>
    </Dialog>
  );
}
