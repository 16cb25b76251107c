import { useState } from "react";
import type { FieldValues, Path, PathValue, UseFormReturn } from "react-hook-form";

import { useTexts } from "@/texts";
import { Button } from "@/ui/button";

import type { AnswerValues } from "./answer-fields";
import { PassagePicker } from "./passage-picker";
import { MAX_ANSWER_CHARACTERS } from "./queries";

/** Adds a passage to the answer of a form; it never replaces what was written. */
export function addPassage<T extends FieldValues & AnswerValues>(form: UseFormReturn<T>, passage: string): void {
  const name = "answer" as Path<T>;
  const written = String(form.getValues(name)).trim();
  const joined = written === "" ? passage.trim() : `${written}\n\n${passage.trim()}`;
  const answer = Array.from(joined).slice(0, MAX_ANSWER_CHARACTERS).join("");
  form.setValue(name, answer as PathValue<T, Path<T>>, { shouldDirty: true, shouldValidate: true });
}

/** Opens the choice of a passage for the answer of a form. */
export function PassageButton<T extends FieldValues & AnswerValues>({ form }: { form: UseFormReturn<T> }) {
  const { unanswered } = useTexts("unanswered");
  const [isPicking, setPicking] = useState(false);
  return isPicking ? (
    <PassagePicker onUse={(passage) => addPassage(form, passage)} onClose={() => setPicking(false)} />
  ) : (
    <Button variant="outline" className="justify-self-start" onClick={() => setPicking(true)}>
      {unanswered.fromDocument}
    </Button>
  );
}
