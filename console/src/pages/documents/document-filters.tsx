import { getRouteApi } from "@tanstack/react-router";
import { useId } from "react";

import { cn } from "@/lib/cn";
import { useTexts } from "@/texts";
import { Select } from "@/ui/input";

import type { DocumentSort, DocumentStatus } from "./queries";

const route = getRouteApi("/app/documents");
const STATUSES: readonly (DocumentStatus | undefined)[] = [undefined, "processed", "pending", "failed"];

/** Status and order of the list. Both stand in the address. */
export function DocumentFilters() {
  const { documents } = useTexts("documents");
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const id = useId();
  return (
    <div className="flex flex-wrap items-center justify-between gap-3">
      <div role="group" aria-label={documents.filter} className="flex max-w-full gap-1 overflow-x-auto rounded-md bg-muted p-1">
        {STATUSES.map((status) => (
          <button
            key={status ?? "all"}
            type="button"
            aria-pressed={search.status === status}
            className={cn(
              "rounded-sm px-3 py-1 text-sm font-medium whitespace-nowrap text-muted-foreground",
              search.status === status && "bg-card text-foreground shadow-sm",
            )}
            onClick={() => void navigate({ search: ({ sort }) => ({ ...(status && { status }), ...(sort && { sort }) }), replace: true })}
          >
            {status === undefined ? documents.all : documents.statuses[status]}
          </button>
        ))}
      </div>
      <div>
        <label htmlFor={id} className="sr-only">
          {documents.sort}
        </label>
        <Select
          id={id}
          className="w-auto"
          value={search.sort ?? "-upload_date"}
          onChange={(event) => {
            const sort = event.target.value as DocumentSort;
            void navigate({ search: ({ status }) => ({ ...(status && { status }), ...(sort !== "-upload_date" && { sort }) }), replace: true });
          }}
        >
          <option value="-upload_date">{documents.sorts.newest}</option>
          <option value="filename">{documents.sorts.name}</option>
        </Select>
      </div>
    </div>
  );
}
