import type { FieldValues, Path, UseFormReturn } from "react-hook-form";
import { z } from "zod";

import { type Texts, useTexts } from "@/texts";
import { Field } from "@/ui/field";
import { Select, Textarea } from "@/ui/input";

import { MAX_ANSWER_CHARACTERS, MAX_QUESTION_CHARACTERS } from "./queries";

/** The API counts characters, JavaScript parts of them. */
const within = (max: number) => (text: string) => Array.from(text).length <= max;

export const answerSchema = (texts: Texts["unanswered"]) =>
  z.object({
    question: z.string().trim().min(1, texts.questionMissing).refine(within(MAX_QUESTION_CHARACTERS), texts.questionLong(MAX_QUESTION_CHARACTERS)),
    answer: z.string().trim().min(1, texts.answerMissing).refine(within(MAX_ANSWER_CHARACTERS), texts.answerLong(MAX_ANSWER_CHARACTERS)),
    language: z.enum(["fr", "en"]),
    golden: z.boolean(),
  });

export interface AnswerValues {
  question: string;
  answer: string;
  language: "fr" | "en";
}

/** Wording, answer and language of an approved answer. */
export function AnswerFields<T extends FieldValues & AnswerValues>({ form }: { form: UseFormReturn<T> }) {
  const { unanswered, layout } = useTexts("unanswered");
  const errorOf = (name: keyof AnswerValues) => form.formState.errors[name]?.message as string | undefined;
  return (
    <>
      <Field label={unanswered.question} hint={unanswered.questionHint} error={errorOf("question")}>
        {(control) => <Textarea {...control} {...form.register("question" as Path<T>)} dir="auto" className="max-h-40 min-h-0" rows={2} />}
      </Field>
      <Field label={unanswered.answer} hint={unanswered.answerHint} error={errorOf("answer")}>
        {(control) => <Textarea {...control} {...form.register("answer" as Path<T>)} dir="auto" className="max-h-72" rows={4} />}
      </Field>
      <Field label={unanswered.language} error={errorOf("language")}>
        {(control) => (
          <Select {...control} {...form.register("language" as Path<T>)} className="w-auto">
            <option value="fr">{layout.languages.fr}</option>
            <option value="en">{layout.languages.en}</option>
          </Select>
        )}
      </Field>
    </>
  );
}
