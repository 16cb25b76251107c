import { type ReactNode, useState } from "react";

import { FormError } from "@/layout/form-error";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";

import { isConfirmed } from "./privacy-values";

interface TypedConfirmationProps {
  title: string;
  /** Names the data that is deleted, and the time until which the deletion can be undone. */
  children: ReactNode;
  /** Asks to type `name`. */
  label: string;
  name: string;
  confirm: string;
  isBusy: boolean;
  error: unknown;
  onConfirm: () => void;
  onClose: () => void;
}

/** Asks for a name to be typed before something that a click must not do by accident. */
export function TypedConfirmation({ title, children, label, name, confirm, isBusy, error, onConfirm, onClose }: TypedConfirmationProps) {
  const { common } = useTexts();
  const [typed, setTyped] = useState("");
  const isRight = isConfirmed(typed, name);
  return (
    <Dialog
      title={title}
      onClose={onClose}
      actions={
        <>
          <Button variant="outline" onClick={onClose}>
            {common.cancel}
          </Button>
          <Button type="submit" form="typed-confirmation" variant="destructive" disabled={!isRight} isBusy={isBusy}>
            {confirm}
          </Button>
        </>
      }
    >
      <form
        id="typed-confirmation"
        noValidate
        className="grid gap-4 text-sm"
        onSubmit={(event) => {
          event.preventDefault();
          if (isRight && !isBusy) onConfirm();
        }}
      >
        {children}
        <Field label={label} className="[overflow-wrap:anywhere]">
          {(control) => (
            <Input
              {...control}
              dir="auto"
              autoComplete="off"
              autoCapitalize="off"
              spellCheck={false}
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
            />
          )}
        </Field>
        <FormError error={error} />
      </form>
    </Dialog>
  );
}

/** A list of the consequences. */
export function Points({ points }: { points: readonly string[] }) {
  return (
    <ul className="grid list-disc gap-1.5 pl-5 text-sm">
      {points.map((point) => (
        <li key={point}>{point}</li>
      ))}
    </ul>
  );
}
