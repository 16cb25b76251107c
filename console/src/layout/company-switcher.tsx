import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { ChevronsUpDown } from "lucide-react";

import { chooseCompany, session } from "@/api/session";
import { useStore } from "@/lib/store";
import { ownProfileQuery } from "@/session/companies";
import { useCompany } from "@/session/company";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Menu, MenuContent, MenuLabel, MenuRadioGroup, MenuRadioItem, MenuTrigger } from "@/ui/menu";

/** Changes to another company. What the address names belongs to the one that is left. */
function useChooseCompany(): (id: string) => void {
  const navigate = useNavigate();
  return (id) => {
    chooseCompany(id);
    void navigate({ to: "/" });
  };
}

/** The other companies, for a member who cannot open the present one. Nothing for a member of one company. */
export function OtherCompanies() {
  const { layout } = useTexts();
  const state = useStore(session);
  const { data: profile } = useQuery(ownProfileQuery);
  const choose = useChooseCompany();
  const present = state.status === "signed-in" ? state.companyId : null;
  const others = (profile?.companies ?? []).filter(({ id, status }) => id !== present && status === "active");
  if (others.length === 0) return null;
  return (
    <section aria-label={layout.switchTo} className="mx-auto grid w-full max-w-sm gap-2">
      <h2 className="text-sm font-medium">{layout.switchTo}</h2>
      {others.map(({ id, name }) => (
        <Button key={id} variant="outline" className="min-w-0" onClick={() => choose(id)}>
          <span className="truncate">{name}</span>
        </Button>
      ))}
    </section>
  );
}

/** The company's name; for a member of several, the choice between them. */
export function CompanySwitcher() {
  const { layout } = useTexts();
  const { tenant } = useCompany();
  const { data: profile } = useQuery(ownProfileQuery);
  const choose = useChooseCompany();
  const companies = profile?.companies ?? [];
  if (companies.length < 2) return <span className="min-w-0 flex-1 truncate text-base font-semibold">{tenant.name}</span>;
  return (
    <Menu>
      <MenuTrigger asChild>
        <Button variant="ghost" className="min-w-0 flex-1 shrink justify-between px-2 text-base font-semibold" aria-label={`${layout.company} ${tenant.name}`}>
          <span className="truncate">{tenant.name}</span>
          <ChevronsUpDown aria-hidden className="text-muted-foreground" />
        </Button>
      </MenuTrigger>
      <MenuContent align="start" className="max-h-[70dvh] w-64 max-w-[85vw] overflow-y-auto">
        <MenuLabel>{layout.company}</MenuLabel>
        <MenuRadioGroup value={tenant.id} onValueChange={choose}>
          {companies.map(({ id, name, role, status }) => (
            <MenuRadioItem key={id} value={id} disabled={status !== "active"}>
              <span className="min-w-0 flex-1 truncate">{name}</span>
              <span className="text-xs text-muted-foreground">{layout.roles[role === "owner" ? "owner" : "support"]}</span>
              {status !== "active" && <Badge variant="warning">{layout.suspendedShort}</Badge>}
            </MenuRadioItem>
          ))}
        </MenuRadioGroup>
      </MenuContent>
    </Menu>
  );
}
