import { useMutation } from "@tanstack/react-query";
import { ChevronsUpDown, LogOut } from "lucide-react";

import { client } from "@/api/client";
import { endSession, SESSION_HEADERS, session } from "@/api/session";
import { useStore } from "@/lib/store";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Menu, MenuContent, MenuItem, MenuLabel, MenuSeparator, MenuTrigger } from "@/ui/menu";

import { PreferenceItems } from "./preferences";

/** The signed-in user's menu: language, theme, sign out. */
export function AccountMenu() {
  const { layout } = useTexts();
  const state = useStore(session);
  const signOut = useMutation({
    mutationFn: () => client.POST("/api/v1/auth/logout", { headers: SESSION_HEADERS }),
    onSuccess: endSession,
  });
  const email = state.status === "signed-in" ? state.email : "";
  return (
    <Menu>
      <MenuTrigger asChild>
        <Button variant="ghost" className="w-full justify-between px-2" isBusy={signOut.isPending} aria-label={`${layout.account} ${email}`}>
          <span className="truncate">{email}</span>
          <ChevronsUpDown aria-hidden className="text-muted-foreground" />
        </Button>
      </MenuTrigger>
      <MenuContent align="start" side="top" className="w-60">
        <MenuLabel className="truncate">{email}</MenuLabel>
        <MenuSeparator />
        <PreferenceItems />
        <MenuSeparator />
        <MenuItem onSelect={() => signOut.mutate()}>
          <LogOut aria-hidden /> {layout.signOut}
        </MenuItem>
      </MenuContent>
    </Menu>
  );
}
