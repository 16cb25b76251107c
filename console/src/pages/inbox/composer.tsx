import { Send } from "lucide-react";
import { type KeyboardEvent, type RefObject, type SubmitEvent, useEffect, useId } from "react";

import { FormError } from "@/layout/form-error";
import { cn } from "@/lib/cn";
import { useStore } from "@/lib/store";
import { useCompany } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Textarea } from "@/ui/input";

import { useReply } from "./actions";
import { draftOf, writeDraft } from "./drafts";
import type { Conversation } from "./queries";

/** Longest answer that the API takes. */
const MAX_CHARS = 4096;
const COUNTED_FROM = 3500;

interface ComposerProps {
  conversation: Conversation;
  input: RefObject<HTMLTextAreaElement | null>;
  /** Changes with each wish to answer; the field takes the focus then. */
  focusRequest: number;
  onSent: () => void;
  onLeave: () => void;
}

/** The field in which a person writes an answer. The text is kept until it is sent. */
export function Composer({ conversation, input, focusRequest, onSent, onLeave }: ComposerProps) {
  const { inbox } = useTexts("inbox");
  const { user } = useCompany();
  const id = useId();
  const draft = useStore(draftOf(user.id, conversation.id));
  const reply = useReply(user.id, conversation.id);
  useEffect(() => {
    if (focusRequest > 0) input.current?.focus();
  }, [focusRequest, input]);

  const count = Array.from(draft.text).length;
  const isTooLong = count > MAX_CHARS;
  const send = () => {
    if (draft.text.trim() === "" || isTooLong || reply.isPending) return;
    reply.mutate(draft, { onSuccess: onSent });
  };
  const onSubmit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    send();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") onLeave();
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    // The keyboard of a phone has no Shift + Enter: there, Enter begins a line and the button sends.
    if (!event.ctrlKey && !event.metaKey && window.matchMedia("(pointer: coarse)").matches) return;
    event.preventDefault();
    send();
  };
 return (
    <form className="grid gap-2 border-t bg-card px-4 py-3" onSubmit={onSubmit}>
      <FormError error={reply.error} />
      <div className="flex items-end gap-2">
        <label htmlFor={id} className="sr-only">
          {inbox.reply}
        </label>
        <Textarea
          id={id}
          ref={input}
          dir="auto"
          rows={1}
          value={draft.text}
          readOnly={reply.isPending}
          placeholder={inbox.replyPlaceholder}
          aria-describedby={`${id}-hint`}
          aria-invalid={isTooLong || undefined}
          className="max-h-48 min-h-9"
          onChange={(event) => writeDraft(user.id, conversation.id, event.target.value)}
          onKeyDown={onKeyDown}
        />
        <Button type="submit" isBusy={reply.isPending} disabled={draft.text.trim() === "" || isTooLong}>
          <Send aria-hidden /> <span className="max-sm:sr-only">{inbox.send}</span>
        </Button>
      </div>
      <p id={`${id}-hint`} className={cn("text-xs", isTooLong ? "text-destructive" : "text-muted-foreground")}>
        {count > COUNTED_FROM ? (
          inbox.tooLong(count, MAX_CHARS)
        ) : (
          <>
            <span className="pointer-coarse:hidden">{inbox.replyHint}</span> {conversation.handler !== "human" && inbox.replyTakesOver}
          </>
        )}
      </p>
    </form>
  );
}
