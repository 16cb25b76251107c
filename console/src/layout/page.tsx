import { type ReactNode, useEffect } from "react";

import { cn } from "@/lib/cn";
import { useStore } from "@/lib/store";
import { useTexts } from "@/texts";

import { shownCount, waitingCount } from "./waiting-count";

/** Names the page in the browser's tab, behind the number of conversations that wait. */
export function useTitle(title: string): void {
  const { common } = useTexts();
  const waiting = useStore(waitingCount);
  useEffect(() => {
    document.title = `${waiting.count > 0 ? `(${shownCount(waiting)}) ` : ""}${title} – ${common.product}`;
  }, [title, waiting, common.product]);
}

interface PageProps {
  title: string;
  /** One sentence below the title. */
  lead?: ReactNode;
  /** Buttons beside the title. */
  actions?: ReactNode;
  children: ReactNode;
  /** A page that fills the window and scrolls inside, such as the inbox. */
  isFull?: boolean;
}

/** The frame of a page: its title, its buttons, its content. */
export function Page({ title, lead, actions, children, isFull = false }: PageProps) {
  useTitle(title);
  return (
    <div className={cn(isFull ? "flex h-full min-h-0 flex-col" : "mx-auto grid w-full max-w-6xl grid-cols-[minmax(0,1fr)] gap-5 px-4 py-5 sm:px-6")}>
      <div className={cn("flex flex-wrap items-center justify-between gap-3", isFull && "border-b px-4 py-2.5 sm:px-6")}>
        <div className="min-w-0">
          <h1 className="text-xl font-semibold tracking-tight">{title}</h1>
          {lead && <p className="mt-1 max-w-2xl text-sm text-muted-foreground">{lead}</p>}
        </div>
        {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
      </div>
      {children}
    </div>
  );
}
