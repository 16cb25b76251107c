import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type UseFormReturn, useForm } from "react-hook-form";
import { z } from "zod";

import { call, client } from "@/api/client";
import { FormError } from "@/layout/form-error";
import { showDone } from "@/layout/toasts";
import { draftOr, dropDraft, useDraft } from "@/lib/draft";
import { showFieldErrors } from "@/lib/forms";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";

import { EventsField } from "./webhook-events-field";
import { type Endpoint, EVENT_TYPES, urlProblem } from "./webhook-values";

const MAX_DESCRIPTION_CHARS = 200;

export interface EndpointValues {
  url: string;
  description: string;
  isAll: boolean;
  events: string[];
}

const valuesOf = ({ url, description, events }: Endpoint): EndpointValues => ({
  url,
  description: description ?? "",
  isAll: events.length === 0,
  events,
});

/** The chosen events as the API takes them: an empty list stands for all. */
const eventsOf = ({ isAll, events }: EndpointValues) => (isAll ? [] : EVENT_TYPES.filter((known) => events.includes(known)));

function useEndpointForm(draft: string, values: EndpointValues): UseFormReturn<EndpointValues> {
  const { webhooks, settings } = useTexts("webhooks", "settings");
  const schema = z
    .object({
      url: z.string().superRefine((url, context) => {
        const problem = urlProblem(url);
        if (problem !== null) context.addIssue({ code: "custom", message: webhooks.form.urlProblems[problem] });
      }),
      description: z.string().trim().max(MAX_DESCRIPTION_CHARS, settings.tooLong(MAX_DESCRIPTION_CHARS)),
      isAll: z.boolean(),
      events: z.array(z.string()),
    })
    .refine(({ isAll, events }) => isAll || events.length > 0, { path: ["events"], error: webhooks.form.needsEvent });
  const form = useForm<EndpointValues>({ resolver: zodResolver(schema), defaultValues: draftOr(draft, values) });
  useDraft(draft, form);
  return form;
}

const NEW_DRAFT = "webhook";

interface CreateProps {
  onClose: () => void;
  onCreated: (created: { id: string; secret: string }) => void;
}

/** Creates an endpoint. What is typed stays until it is sent or cancelled. */
export function CreateEndpointDialog({ onClose, onCreated }: CreateProps) {
  const { webhooks } = useTexts("webhooks");
  const queries = useQueryClient();
  const form = useEndpointForm(NEW_DRAFT, { url: "", description: "", isAll: true, events: [] });
  const create = useMutation({
    mutationFn: async (values: EndpointValues) => {
      const description = values.description.trim();
      const body = { url: values.url.trim(), events: eventsOf(values), ...(description !== "" && { description }) };
      return (await call(client.POST("/api/v1/webhook-endpoints", { body }))).data;
    },
    onSuccess: (created) => {
      dropDraft(NEW_DRAFT);
      void queries.invalidateQueries({ queryKey: ["webhooks"] });
      onCreated(created);
    },
    onError: (error) => showFieldErrors(form, error),
    meta: { showsError: true },
  });
  return (
    <EndpointDialog title={webhooks.add} submit={webhooks.form.create} draft={NEW_DRAFT} form={form} mutation={create} onClose={onClose} />
  );
}

/** Changes an endpoint's address, description and events. */
export function EditEndpointDialog({ endpoint, onClose }: { endpoint: Endpoint; onClose: () => void }) {
  const { webhooks, common } = useTexts("webhooks");
  const queries = useQueryClient();
  const draft = `webhook.${endpoint.id}`;
  const form = useEndpointForm(draft, valuesOf(endpoint));
  const change = useMutation({
    mutationFn: async (values: EndpointValues) => {
      const url = values.url.trim();
      const description = values.description.trim();
      const body = {
        // A colleague may have changed the other fields meanwhile.
        ...(url !== endpoint.url && { url }),
        ...(description !== (endpoint.description ?? "") && { description: description === "" ? null : description }),
        events: eventsOf(values),
      };
      return (await call(client.PATCH("/api/v1/webhook-endpoints/{id}", { params: { path: { id: endpoint.id } }, body }))).data;
    },
    onSuccess: async () => {
      dropDraft(draft);
      onClose();
      showDone(webhooks.saved);
      await queries.invalidateQueries({ queryKey: ["webhooks"] });
    },
    onError: (error) => showFieldErrors(form, error),
    meta: { showsError: true },
  });
  return <EndpointDialog title={webhooks.editTitle} submit={common.save} draft={draft} form={form} mutation={change} onClose={onClose} />;
}

interface EndpointDialogProps {
  title: string;
  submit: string;
  draft: string;
  form: UseFormReturn<EndpointValues>;
  mutation: { mutate: (values: EndpointValues) => void; isPending: boolean; error: Error | null };
  onClose: () => void;
}

function EndpointDialog({ title, submit, draft, form, mutation, onClose }: EndpointDialogProps) {
  const { webhooks, common } = useTexts("webhooks");
  const text = webhooks.form;
  const { errors } = form.formState;
  return (
    <Dialog
      title={title}
      onClose={onClose}
      actions={
        <>
          <Button
            variant="outline"
            onClick={() => {
              dropDraft(draft);
              onClose();
            }}
          >
            {common.cancel}
          </Button>
          <Button type="submit" form="endpoint" isBusy={mutation.isPending}>
            {submit}
          </Button>
        </>
      }
    >
      <form id="endpoint" noValidate className="grid gap-4" onSubmit={(event) => void form.handleSubmit((values) => mutation.mutate(values))(event)}>
        <Field label={text.url} hint={text.urlHint} error={errors.url?.message}>
          {(control) => <Input {...control} type="url" inputMode="url" autoComplete="off" placeholder="https://" {...form.register("url")} />}
        </Field>
        <Field label={text.description} isOptional hint={text.descriptionHint} error={errors.description?.message}>
          {(control) => <Input {...control} dir="auto" autoComplete="off" {...form.register("description")} />}
        </Field>
        <EventsField form={form} />
        <FormError error={mutation.error} />
      </form>
    </Dialog>
  );
}
