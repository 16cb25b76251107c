import { useNavigate } from "@tanstack/react-router";

import { chooseCompany } from "@/api/session";

/** Changes to another company. What the address names belongs to the one that is left. */
export function useChooseCompany(): (id: string) => void {
  const navigate = useNavigate();
  return (id) => {
    chooseCompany(id);
    void navigate({ to: "/" });
  };
}
