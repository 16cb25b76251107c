import { useQuery } from "@tanstack/react-query";
import { ChevronsUpDown } from "lucide-react";

import { useChooseCompany } from "@/session/choose-company";
import { ownProfileQuery } from "@/session/companies";
import { useCompany } from "@/session/company";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Menu, MenuContent, MenuLabel, MenuRadioGroup, MenuRadioItem, MenuTrigger } from "@/ui/menu";

/** The choice between the companies of a member of several. */
export function CompanyMenu() {
  const { layout } = useTexts();
  const { tenant } = useCompany();
  const { data: profile } = useQuery(ownProfileQuery);
  const choose = useChooseCompany();
  const companies = profile?.companies ?? [];
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
