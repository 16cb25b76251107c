import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { callEmpty, client } from "@/api/client";
import { showDone } from "@/layout/toasts";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/dialog";

import { roleName } from "./member-item";
import type { Invitation } from "./queries";

export function InvitationItem({ invitation }: { invitation: Invitation }) {
  const all = useTexts("settings");
  const text = all.settings.team;
  const format = useFormat();
  const queries = useQueryClient();
  const [isAsking, setAsking] = useState(false);
  const revoke = useMutation({
    mutationFn: () => callEmpty(client.DELETE("/api/v1/customers/me/invitations/{id}", { params: { path: { id: invitation.id } } })),
    onSuccess: () => showDone(text.revoked),
    // Also after a failure: the invitation may have been used meanwhile.
    onSettled: async () => {
      setAsking(false);
      await Promise.all([queries.invalidateQueries({ queryKey: ["invitations"] }), queries.invalidateQueries({ queryKey: ["members"] })]);
    },
  });
  const whom = invitation.email ?? text.anybody;
  return (
    <li className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 py-2.5">
      <div className="min-w-0">
        <p className="flex flex-wrap items-center gap-2 text-sm font-medium break-all">
          {whom} <Badge>{roleName(invitation.role, all)}</Badge>
        </p>
        <p className="text-sm text-muted-foreground">{text.validUntil(format.dateTime(invitation.expires_at))}</p>
      </div>
      <Button variant="outline" size="sm" aria-label={`${text.revoke}: ${whom}`} onClick={() => setAsking(true)}>
        {text.revoke}
      </Button>
      {isAsking && (
        <ConfirmDialog
          title={text.revokeTitle}
          text={text.revokeText(whom)}
          confirm={text.revoke}
          isBusy={revoke.isPending}
          onConfirm={() => revoke.mutate()}
          onClose={() => setAsking(false)}
        />
      )}
    </li>
  );
}
