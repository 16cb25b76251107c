import { Link, useNavigate } from "@tanstack/react-router";
import { Search } from "lucide-react";
import { useEffect, useId, useState } from "react";

import { useTexts } from "@/texts";
import { Input } from "@/ui/input";

import { FILTERS, type InboxSearch, without } from "./route";
import { WaitingBadge } from "./waiting-badge";

const SEARCH_DELAY_MS = 250;

/** The search and the filters; both are in the address. */
export function Filters({ search }: { search: InboxSearch }) {
  const { inbox } = useTexts("inbox");
  const others = without(search, "filter");
  return (
    <div className="grid gap-2 border-b px-4 py-3">
      <SearchField query={search.q ?? ""} />
      <nav aria-label={inbox.filterLabel} className="-mx-1 flex flex-wrap gap-1">
        {[undefined, ...FILTERS].map((filter) => (
          <Link
            key={filter ?? "all"}
            to="/inbox"
            search={{ ...others, ...(filter && { filter }) }}
            preload={false}
            activeOptions={{ exact: true }}
            className="inline-flex items-center gap-1.5 rounded-md px-2 py-1 text-sm font-medium text-muted-foreground hover:bg-muted aria-[current=page]:bg-accent aria-[current=page]:text-accent-foreground"
          >
            {inbox.filters[filter ?? "all"]}
            {filter === "waiting" && <WaitingBadge />}
          </Link>
        ))}
      </nav>
    </div>
  );
}

function SearchField({ query }: { query: string }) {
  const { inbox, common } = useTexts("inbox");
  const navigate = useNavigate({ from: "/inbox" });
  const [text, setText] = useState(query);
  const [seen, setSeen] = useState(query);
  const [sent, setSent] = useState(query);
  const id = useId();
  // An address that this field did not make, as by "show all", fills it anew; its own one may be older than what is typed.
  if (query !== seen) {
    setSeen(query);
    if (query !== sent) setText(query);
  }
  useEffect(() => {
    if (text.trim() === query) return undefined;
    const timer = setTimeout(() => {
      const q = text.trim();
      setSent(q);
      void navigate({ search: (before) => ({ ...without(before, "q"), ...(q !== "" && { q }) }), replace: true });
    }, SEARCH_DELAY_MS);
    return () => clearTimeout(timer);
  }, [text, query, navigate]);
  return (
    <div className="relative">
      <label htmlFor="inbox-search" className="sr-only">
        {common.search}
      </label>
      <Search aria-hidden className="absolute top-2.5 left-2.5 size-4 text-muted-foreground" />
      <Input
        id="inbox-search"
        type="search"
        value={text}
        maxLength={200}
        placeholder={inbox.searchHint}
        aria-describedby={id}
        aria-keyshortcuts="/"
        className="pl-8"
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") event.currentTarget.blur();
        }}
      />
      <span id={id} className="sr-only">
        {inbox.searchHint}
      </span>
    </div>
  );
}
