import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Download, MoreHorizontal, Trash2 } from "lucide-react";
import { useState } from "react";

import { callEmpty, client } from "@/api/client";
import { showDone } from "@/layout/toasts";
import { saveText } from "@/lib/download";
import { useCompany } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/dialog";
import { Menu, MenuContent, MenuItem, MenuTrigger } from "@/ui/menu";

import { fetchContact } from "./contact-export";
import { writeDraft } from "./drafts";
import { type Conversation, removeConversation } from "./queries";

interface ContactMenuProps {
  conversation: Conversation;
  contact: string;
  onDeleted: () => void;
}

/** Menu with which an owner exports or deletes the data of a contact. */
export function ContactMenu({ conversation, contact, onDeleted }: ContactMenuProps) {
  const { inbox } = useTexts("inbox");
  const text = inbox.contact;
  const [isAsking, setAsking] = useState(false);
  const save = useMutation({
    mutationFn: () => fetchContact(conversation.id),
    onSuccess: (json) => {
      // The id, not the name: a file's name may be seen by others, and a name may hold anything.
      saveText(`contact-${conversation.id}.json`, "application/json", json);
      showDone(text.exported);
    },
  });
  return (
    <>
      <Menu>
        <MenuTrigger asChild>
          <Button variant="ghost" size="icon" className="size-8" isBusy={save.isPending} aria-label={text.actions(contact)}>
            <MoreHorizontal aria-hidden />
          </Button>
        </MenuTrigger>
        <MenuContent align="end">
          <MenuItem onSelect={() => save.mutate()}>
            <Download aria-hidden /> {text.export}
          </MenuItem>
          <MenuItem className="text-destructive" onSelect={() => setAsking(true)}>
            <Trash2 aria-hidden /> {text.delete}
          </MenuItem>
        </MenuContent>
      </Menu>
      {isAsking && <DeleteDialog conversation={conversation} contact={contact} onDeleted={onDeleted} onClose={() => setAsking(false)} />}
    </>
  );
}

function DeleteDialog({ conversation, contact, onDeleted, onClose }: ContactMenuProps & { onClose: () => void }) {
  const { inbox } = useTexts("inbox");
  const text = inbox.contact;
  const { user } = useCompany();
  const queries = useQueryClient();
  const remove = useMutation({
    mutationFn: () =>
      callEmpty(client.DELETE("/api/v1/privacy/contacts/{conversation_id}", { params: { path: { conversation_id: conversation.id } } })),
    onSuccess: () => {
      // An unsent answer may tell about the contact, too.
      writeDraft(user.id, conversation.id, "");
      showDone(text.deleted);
      onDeleted();
      removeConversation(queries, conversation.id);
      for (const key of ["conversations", "waiting", "unanswered", "orders", "activities"]) void queries.invalidateQueries({ queryKey: [key] });
    },
    onError: onClose,
  });
  return (
    <ConfirmDialog
      title={text.deleteTitle}
      text={text.deleteText(contact)}
      confirm={text.delete}
      isBusy={remove.isPending}
      onConfirm={() => remove.mutate()}
      onClose={onClose}
    />
  );
}
