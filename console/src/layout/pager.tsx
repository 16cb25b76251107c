import { Link } from "@tanstack/react-router";
import { ChevronLeft, ChevronRight } from "lucide-react";
import type { ReactNode } from "react";

import type { Schemas } from "@/api/client";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";

/** The pages of a list whose number is in the address as `page`. Nothing for a list of one page. */
export function Pager({ meta }: { meta: Schemas["Meta"] }) {
  const { common } = useTexts();
  const format = useFormat();
  const page = meta.page ?? 1;
  if (meta.total_pages <= 1 && page === 1) return null;
  const count = format.number(meta.total);
  return (
    <nav aria-label={common.pages} className="flex flex-wrap items-center justify-between gap-3">
      <p className="text-sm text-muted-foreground">
        {common.pageOf(format.number(page), format.number(meta.total_pages), meta.total_is_estimate === true ? `${count}+` : count)}
      </p>
      <div className="flex gap-2">
        <Step to={page - 1} isPossible={page > 1}>
          <ChevronLeft aria-hidden />
          {common.previous}
        </Step>
        <Step to={page + 1} isPossible={meta.next_cursor !== null && meta.next_cursor !== undefined}>
          {common.next}
          <ChevronRight aria-hidden />
        </Step>
      </div>
    </nav>
  );
}

function Step({ to, isPossible, children }: { to: number; isPossible: boolean; children: ReactNode }) {
  if (!isPossible) {
    return (
      <Button variant="outline" size="sm" disabled>
        {children}
      </Button>
    );
  }
  return (
    <Button variant="outline" size="sm" asChild>
      <Link to="." search={(previous) => ({ ...previous, page: to > 1 ? to : undefined })}>
        {children}
      </Link>
    </Button>
  );
}
