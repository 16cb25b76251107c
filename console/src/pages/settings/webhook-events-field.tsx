import { useId } from "react";
import { Controller, type UseFormReturn } from "react-hook-form";

import { useTexts } from "@/texts";

import type { EndpointValues } from "./webhook-dialog";
import { EVENT_TYPES } from "./webhook-values";

const boxClasses = "mt-0.5 size-4 shrink-0 accent-primary";

/** The choice between all events and some of them, each with a description. */
export function EventsField({ form }: { form: UseFormReturn<EndpointValues> }) {
  const { webhooks } = useTexts("webhooks");
  const text = webhooks.form;
  const id = useId();
  const isAll = form.watch("isAll");
  const error = form.formState.errors.events?.message;
  return (
    <fieldset className="grid gap-2.5" aria-describedby={error === undefined ? undefined : `${id}-error`}>
      <legend className="mb-1.5 text-sm font-medium">{text.events}</legend>
      <Controller
        control={form.control}
        name="isAll"
        render={({ field }) => (
          <>
            <Choice id={`${id}-all`} type="radio" name={id} label={text.all} hint={text.allHint} isChecked={field.value} onChange={() => field.onChange(true)} />
            <Choice id={`${id}-some`} type="radio" name={id} label={text.some} isChecked={!field.value} onChange={() => field.onChange(false)} />
          </>
        )}
      />
      {!isAll && (
        <Controller
          control={form.control}
          name="events"
          render={({ field }) => (
            <div className="grid gap-2.5 border-l pl-4">
              {EVENT_TYPES.map((event) => (
                <Choice
                  key={event}
                  id={`${id}-${event}`}
                  type="checkbox"
                  label={webhooks.events[event]?.name ?? event}
                  code={event}
                  hint={webhooks.events[event]?.text}
                  isChecked={field.value.includes(event)}
                  onChange={(isChecked) => field.onChange(isChecked ? [...field.value, event] : field.value.filter((known) => known !== event))}
                />
              ))}
            </div>
          )}
        />
      )}
      {error !== undefined && (
        <p id={`${id}-error`} role="alert" className="text-sm text-destructive">
          {error}
        </p>
      )}
    </fieldset>
  );
}

interface ChoiceProps {
  id: string;
  type: "radio" | "checkbox";
  name?: string;
  label: string;
  /** The name of the event in the requests. */
  code?: string;
  hint?: string | undefined;
  isChecked: boolean;
  onChange: (isChecked: boolean) => void;
}

function Choice({ id, type, name, label, code, hint, isChecked, onChange }: ChoiceProps) {
  return (
    <div className="flex gap-2.5 text-sm">
      <input
        id={id}
        type={type}
        name={name}
        className={boxClasses}
        checked={isChecked}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
        onChange={(event) => onChange(event.target.checked)}
      />
      <div className="min-w-0">
        <label htmlFor={id} className="font-medium">
          {label}
        </label>{" "}
        {code !== undefined && (
          <code translate="no" className="text-xs text-muted-foreground">
            {code}
          </code>
        )}
        {hint !== undefined && (
          <p id={`${id}-hint`} className="text-muted-foreground">
            {hint}
          </p>
        )}
      </div>
    </div>
  );
}
