import { Link } from "@tanstack/react-router";

import { navigation } from "@/pages";
import { type Role, useCompany } from "@/session/company";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";

import { CompanySwitcher } from "./company-switcher";
import { LazyAccountMenu } from "./lazy-menus";
import { Logo } from "./logo";
import type { NavigationEntry } from "./navigation";

const ITEM_CLASSES =
  "flex items-center gap-2.5 rounded-md px-2.5 py-2 text-sm font-medium text-muted-foreground hover:bg-accent hover:text-accent-foreground aria-[current=page]:bg-accent aria-[current=page]:text-accent-foreground [&_svg]:size-4 [&_svg]:shrink-0";

/** The entries that a role sees. */
export function entriesFor(role: string, entries: readonly NavigationEntry[]): NavigationEntry[] {
  return entries.filter(({ roles }) => roles === undefined || roles.includes(role as Role));
}

/** Company, pages and account. `onNavigate` closes the drawer of a narrow window. */
export function Sidebar({ onNavigate }: { onNavigate?: () => void }) {
  const all = useTexts();
  const { user, mode } = useCompany();
  return (
    <div className="flex h-full min-h-0 flex-col gap-3 bg-sidebar p-3">
      <div className="flex min-w-0 items-center gap-2">
        <Logo />
        <CompanySwitcher />
      </div>
      <Badge variant={mode === "live" ? "success" : "outline"}>{mode === "live" ? all.layout.live : all.layout.rag}</Badge>
      <nav aria-label={all.layout.navigation} className="min-h-0 flex-1 overflow-y-auto">
        <ul className="grid gap-0.5">
          {entriesFor(user.role, navigation).map(({ to, label, icon: Icon, badge: Count }) => (
            <li key={to}>
              <Link to={to} className={ITEM_CLASSES} activeProps={{ "aria-current": "page" }} {...(onNavigate && { onClick: onNavigate })}>
                <Icon aria-hidden />
                <span className="min-w-0 flex-1 truncate">{label(all)}</span>
                {Count && <Count />}
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      <LazyAccountMenu />
    </div>
  );
}
