import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Crown, KeyRound, MoreHorizontal, UserMinus } from "lucide-react";
import { useState } from "react";

import { call, callEmpty, client } from "@/api/client";
import { showDone } from "@/layout/toasts";
import { tokenLink } from "@/lib/links";
import { useCompany, useFormat } from "@/session/company";
import { type BaseTexts, useTexts } from "@/texts";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/dialog";
import { Menu, MenuContent, MenuItem, MenuTrigger } from "@/ui/menu";

import type { Member } from "./queries";
import { ShownOnce } from "./shown-once";

export const roleName = (role: string, { layout }: BaseTexts) => (role === "owner" ? layout.roles.owner : layout.roles.support);

type Question = "remove" | "transfer";

export function MemberItem({ member, members }: { member: Member; members: readonly Member[] }) {
  const all = useTexts("settings");
  const text = all.settings.team;
  const { user } = useCompany();
  const format = useFormat();
  const isSelf = member.user_id === user.id;
  const isAccountOwner = members.some(({ user_id: id, is_account_owner: owns }) => owns && id === user.id);
  return (
    <li className="flex items-center justify-between gap-4 py-2.5">
      <div className="min-w-0">
        <p className="flex flex-wrap items-center gap-2 text-sm font-medium break-words">
          <bdi>{member.full_name ?? member.email}</bdi>
          {isSelf && <span className="font-normal text-muted-foreground">({text.you})</span>}
          <Badge>{roleName(member.role, all)}</Badge>
          {member.is_account_owner && <Badge variant="outline">{text.accountOwner}</Badge>}
        </p>
        <p className="flex flex-wrap gap-x-3 text-sm text-muted-foreground">
          {member.full_name && <span className="break-all">{member.email}</span>}
          <span>{text.since(format.date(member.created_at))}</span>
        </p>
      </div>
      {!isSelf && !member.is_account_owner && <MemberActions member={member} canTransfer={isAccountOwner} />}
    </li>
  );
}

function MemberActions({ member, canTransfer }: { member: Member; canTransfer: boolean }) {
  const { settings } = useTexts("settings");
  const text = settings.team;
  const [asked, setAsked] = useState<Question | null>(null);
  const name = member.full_name ?? member.email;
  const reset = useMutation({
    mutationFn: async () =>
      (await call(client.POST("/api/v1/customers/me/members/{user_id}/password-reset", { params: { path: { user_id: member.user_id } } }))).data,
  });
  return (
    <>
      <Menu>
        <MenuTrigger asChild>
          <Button variant="ghost" size="icon" isBusy={reset.isPending} aria-label={text.actionsFor(name)}>
            <MoreHorizontal aria-hidden />
          </Button>
        </MenuTrigger>
        <MenuContent align="end">
          {member.role === "support" && (
            <MenuItem onSelect={() => reset.mutate()}>
              <KeyRound aria-hidden /> {text.resetPassword}
            </MenuItem>
          )}
          {canTransfer && (
            <MenuItem onSelect={() => setAsked("transfer")}>
              <Crown aria-hidden /> {text.transfer}
            </MenuItem>
          )}
          <MenuItem onSelect={() => setAsked("remove")}>
            <UserMinus aria-hidden /> {text.remove}
          </MenuItem>
        </MenuContent>
      </Menu>
      {reset.data && (
        <ShownOnce
          title={text.resetTitle}
          text={text.resetText(name, reset.data.valid_hours)}
          label={text.link}
          value={tokenLink(reset.data.link, "/password-reset", reset.data.token)}
          onClose={reset.reset}
        />
      )}
      {asked === "remove" && <RemoveDialog member={member} onClose={() => setAsked(null)} />}
      {asked === "transfer" && <TransferDialog member={member} onClose={() => setAsked(null)} />}
    </>
  );
}

function RemoveDialog({ member, onClose }: { member: Member; onClose: () => void }) {
  const { settings } = useTexts("settings");
  const text = settings.team;
  const queries = useQueryClient();
  const remove = useMutation({
    mutationFn: () =>
      callEmpty(client.DELETE("/api/v1/customers/me/members/{user_id}", { params: { path: { user_id: member.user_id } } })),
    onSuccess: async () => {
      onClose();
      showDone(text.removed);
      await Promise.all([queries.invalidateQueries({ queryKey: ["members"] }), queries.invalidateQueries({ queryKey: ["invitations"] })]);
    },
    onError: onClose,
  });
  return (
    <ConfirmDialog
      title={text.removeTitle}
      text={text.removeText(member.full_name ?? member.email)}
      confirm={text.remove}
      isBusy={remove.isPending}
      onConfirm={() => remove.mutate()}
      onClose={onClose}
    />
  );
}

function TransferDialog({ member, onClose }: { member: Member; onClose: () => void }) {
  const { settings } = useTexts("settings");
  const text = settings.team;
  const queries = useQueryClient();
  const transfer = useMutation({
    mutationFn: async () => (await call(client.POST("/api/v1/customers/me/owner", { body: { user_id: member.user_id } }))).data,
    onSuccess: async () => {
      showDone(text.transferred);
      // The former owner is a support user from now on: what may be shown is another.
      await queries.invalidateQueries({ queryKey: ["context"] });
      onClose();
    },
    onError: onClose,
  });
  return (
    <ConfirmDialog
      title={text.transferTitle}
      text={text.transferText(member.full_name ?? member.email)}
      confirm={text.transfer}
      isBusy={transfer.isPending}
      onConfirm={() => transfer.mutate()}
      onClose={onClose}
    />
  );
}
