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
import { PassageButton } from "./passage-button";
import { type ApprovedAnswer, MAX_ANSWER_CHARACTERS, MAX_QUESTION_CHARACTERS } from "./queries";

const firstCharacters = (text: string, max: number) => Array.from(text).slice(0, max).join("");

interface AnswerDialogProps {
  title: string;
  /** A sentence above the fields. */
  lead?: string;
  /** The approved answer that is changed; null adds one. */
  stored: ApprovedAnswer | null;
  /** What the fields begin with, in place of the stored texts. */
  start?: { question: string; answer: string };
  onSaved?: (answer: ApprovedAnswer) => void;
  onClose: () => void;
}

/** Adds an approved answer, or changes one. */
export function AnswerDialog({ title, lead, stored, start, onSaved, onClose }: AnswerDialogProps) {
  const { unanswered, common } = useTexts("unanswered");
  const { tenant } = useCompany();
  const queries = useQueryClient();
  const formId = useId();
  const form = useForm<AnswerValues>({
    resolver: zodResolver(answerSchema(unanswered).omit({ golden: true })),
    defaultValues: {
      question: firstCharacters(start?.question ?? stored?.question ?? "", MAX_QUESTION_CHARACTERS),
      answer: firstCharacters(start?.answer ?? stored?.answer ?? "", MAX_ANSWER_CHARACTERS),
      language: (stored?.language ?? tenant.language) === "en" ? "en" : "fr",
    },
  });
  const save = useMutation({
    meta: { showsError: true },
    mutationFn: async (body: AnswerValues) => {
      if (stored === null) return (await call(client.POST("/api/v1/approved-answers", { body }))).data;
      return (await call(client.PATCH("/api/v1/approved-answers/{id}", { params: { path: { id: stored.id } }, body }))).data;
    },
    onSuccess: async (answer) => {
      showDone(unanswered.saved);
      onSaved?.(answer);
      onClose();
      await Promise.all(["approved-answers", "unanswered"].map((name) => queries.invalidateQueries({ queryKey: [name] })));
    },
    onError: (error) => showFieldErrors(form, error),
  });
  return (
    <Dialog
      title={title}
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
        {lead !== undefined && <p className="text-sm text-muted-foreground">{lead}</p>}
        <AnswerFields form={form} />
        <PassageButton form={form} />
        <FormError error={save.error} />
      </form>
    </Dialog>
  );
}
