import type { ReactNode } from "react";

import { useTitle } from "@/layout/page";
import { ErrorState, LoadingState } from "@/layout/states";
import { useTexts } from "@/texts";

import type { SectionName } from "./sections";

interface SectionProps {
  name: SectionName;
  /** Replaces what the section is for. */
  lead?: string;
  /** Buttons beside the title. */
  actions?: ReactNode;
  children: ReactNode;
}

/** The frame of a section: its title, what it is for, its content. */
export function Section({ name, lead, actions, children }: SectionProps) {
  const { settings } = useTexts("settings");
  useTitle(settings.sections[name]);
  return (
    <div className="grid min-w-0 content-start gap-5">
      <div className="flex flex-wrap items-start justify-between gap-3">
        <div className="min-w-0 flex-1 basis-72">
          <h1 className="text-xl font-semibold tracking-tight">{settings.sections[name]}</h1>
          <p className="mt-1 max-w-2xl text-sm text-muted-foreground">{lead ?? settings.leads[name]}</p>
        </div>
        {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
      </div>
      {children}
    </div>
  );
}

/** The fields of a query that {@link Loaded} shows. */
interface Loading<T> {
  data: T | undefined;
  error: Error | null;
  refetch: () => unknown;
}

/** Shows a query's content, or that it loads, or that it failed. */
export function Loaded<T>({ query, children }: { query: Loading<T>; children: (data: T) => ReactNode }) {
  if (query.data !== undefined) return children(query.data);
  if (query.error !== null) return <ErrorState error={query.error} onRetry={() => void query.refetch()} />;
  return <LoadingState />;
}
