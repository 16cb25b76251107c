import { useQuery } from "@tanstack/react-query";

import { session } from "@/api/session";
import { useStore } from "@/lib/store";
import { useChooseCompany } from "@/session/choose-company";
import { ownProfileQuery } from "@/session/companies";
import { useCompany } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";

import { LazyCompanyMenu } from "./lazy-menus";

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
  const { tenant } = useCompany();
  const { data: profile } = useQuery(ownProfileQuery);
  const isChoice = (profile?.companies ?? []).length > 1;
  if (!isChoice) return <span className="min-w-0 flex-1 truncate text-base font-semibold">{tenant.name}</span>;
  return <LazyCompanyMenu name={tenant.name} />;
}
