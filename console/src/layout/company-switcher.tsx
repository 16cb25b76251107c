import { useCompany } from "@/session/company";

/** The company's name. A choice between several follows with the API's list of a user's companies. */
export function CompanySwitcher() {
  const { tenant } = useCompany();
  return <span className="min-w-0 flex-1 truncate text-base font-semibold">{tenant.name}</span>;
}
