import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChevronsUpDown, LogOut, ShieldCheck, UserRound } from "lucide-react";

import { client } from "@/api/client";
import { endSession, SESSION_HEADERS, session } from "@/api/session";
import { useStore } from "@/lib/store";
import { ownProfileQuery } from "@/session/companies";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Menu, MenuContent, MenuItem, MenuLabel, MenuSeparator, MenuTrigger } from "@/ui/menu";

import { PreferenceItems } from "./preferences";

/** The signed-in user's menu: profile, administration, language, theme, sign out. `side` is where it opens. */
export function AccountMenu({ side = "top" }: { side?: "top" | "bottom" }) {
  const { layout, navigation } = useTexts();
  const state = useStore(session);
  const signOut = useMutation({
    mutationFn: () => client.POST("/api/v1/auth/logout", { headers: SESSION_HEADERS }),
    onSuccess: endSession,
  });
  const profile = useQuery(ownProfileQuery);
  const email = state.status === "signed-in" ? state.email : "";
  return (
    <Menu>
      <MenuTrigger asChild>
        <Button variant="ghost" className="w-full justify-between px-2" isBusy={signOut.isPending} aria-label={`${layout.account} ${email}`}>
          <span className="truncate">{email}</span>
          <ChevronsUpDown aria-hidden className="text-muted-foreground" />
        </Button>
      </MenuTrigger>
      <MenuContent align="start" side={side} className="w-60">
        <MenuLabel className="truncate">{email}</MenuLabel>
        <MenuItem asChild>
          <Link to="/settings/profile">
            <UserRound aria-hidden /> {navigation.profile}
          </Link>
        </MenuItem>
        {profile.data?.is_administrator === true && (
          <MenuItem asChild>
            <Link to="/admin/companies">
              <ShieldCheck aria-hidden /> {navigation.admin}
            </Link>
          </MenuItem>
        )}
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
