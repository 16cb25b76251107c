import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useId } from "react";
import { Controller, useForm } from "react-hook-form";

import { AnswerFields, type AnswerValues, answerSchema } from "@/answers/answer-fields";
import { addPassage, PassageButton } from "@/answers/passage-button";
import { MAX_QUESTION_CHARACTERS } from "@/answers/queries";
import { call, client } from "@/api/client";
import { FormError } from "@/layout/form-error";
import { showDone } from "@/layout/toasts";
import { showFieldErrors } from "@/lib/forms";
import { readStored, writeStored } from "@/lib/storage";
import { useCompany } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Checkbox } from "@/ui/switch";

import type { QuestionGroup } from "./grouping";
import { WhyPanel } from "./why-panel";

type ApproveValues = AnswerValues & { golden: boolean };

/** Explains why a question has no answer, and takes the answer that it gets from now on. */
export function ApproveDialog({ group, onClose }: { group: QuestionGroup; onClose: () => void }) {
  const { unanswered, common } = useTexts("unanswered");
  const formId = useId();
  const { form, save, remove } = useApproval(group, onClose);
  return (
    <Dialog
      title={unanswered.answerTitle}
      className="max-w-3xl"
      onClose={onClose}
      actions={
        <>
          <Button
            variant="outline"
            onClick={() => {
              remove();
              onClose();
            }}
          >
            {common.cancel}
          </Button>
          <Button type="submit" form={formId} isBusy={save.isPending}>
            {unanswered.approve}
          </Button>
        </>
      }
    >
      <form id={formId} noValidate className="grid grid-cols-[minmax(0,1fr)] gap-5" onSubmit={(event) => void form.handleSubmit((values) => save.mutate(values))(event)}>
        <WhyPanel group={group} onUse={(passage) => addPassage(form, passage)} />
        <AnswerFields form={form} />
        <PassageButton form={form} />
        <Controller
          control={form.control}
          name="golden"
          render={({ field }) => (
            <div className="flex items-start gap-3 text-sm">
              <Checkbox id={`${formId}-golden`} checked={field.value} onCheckedChange={(is) => field.onChange(is === true)} className="mt-0.5" />
              <label htmlFor={`${formId}-golden`}>
                <span className="font-medium">{unanswered.golden}</span>
                <span className="block text-muted-foreground">{unanswered.goldenHint}</span>
              </label>
            </div>
          )}
        />
        <FormError error={save.error} />
      </form>
    </Dialog>
  );
}

function useApproval(group: QuestionGroup, onClose: () => void) {
  const { unanswered } = useTexts("unanswered");
  const { tenant } = useCompany();
  const queries = useQueryClient();
  const { newest } = group;
  const draftKey = `lisa.answer.${newest.id}`;
  const form = useForm<ApproveValues>({
    resolver: zodResolver(answerSchema(unanswered)),
    defaultValues: readDraft(draftKey) ?? {
      question: Array.from(newest.question).slice(0, MAX_QUESTION_CHARACTERS).join(""),
      answer: "",
      language: tenant.language === "en" ? "en" : "fr",
      golden: true,
    },
  });
  useEffect(
    () =>
      form.subscribe({
        formState: { values: true },
        callback: ({ values }) => writeStored(draftKey, JSON.stringify(values), "session"),
      }),
    [form, draftKey],
  );
  const remove = () => writeStored(draftKey, null, "session");
  const save = useMutation({
    meta: { showsError: true },
    mutationFn: async (body: ApproveValues) =>
      (await call(client.POST("/api/v1/unanswered-questions/{id}/approve", { params: { path: { id: newest.id } }, body }))).data,
    onSuccess: async ({ also_closed: others }) => {
      remove();
      showDone(unanswered.approved(others));
      onClose();
      await Promise.all(
        ["unanswered", "approved-answers", "golden-questions"].map((name) => queries.invalidateQueries({ queryKey: [name] })),
      );
    },
    onError: (error) => showFieldErrors(form, error),
  });
  return { form, save, remove };
}

function readDraft(key: string): ApproveValues | null {
  try {
    const draft = JSON.parse(readStored(key, "session") ?? "null") as Partial<ApproveValues> | null;
    if (typeof draft?.question !== "string" || typeof draft.answer !== "string") return null;
    return { question: draft.question, answer: draft.answer, language: draft.language === "en" ? "en" : "fr", golden: draft.golden !== false };
  } catch {
    return null;
  }
}
