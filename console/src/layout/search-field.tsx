import { Search } from "lucide-react";
import { useEffect, useId, useRef, useState } from "react";

import { Input } from "@/ui/input";

const PAUSE_MS = 300;

interface SearchFieldProps {
  label: string;
  /** The search in force, of the address. */
  value: string;
  /** Called after a pause in the typing, and at once by Enter. */
  onSearch: (text: string) => void;
  className?: string;
}

/** A search that runs while it is typed. A change of the address from elsewhere (back, a link) replaces the text. */
export function SearchField({ label, value, onSearch, className }: SearchFieldProps) {
  const id = useId();
  const [text, setText] = useState(value);
  const [known, setKnown] = useState(value);
  /** The last search of this field: the address then follows the typing, and must not overwrite what was typed since. */
  const [sent, setSent] = useState(value);
  const search = useRef(onSearch);
  useEffect(() => {
    search.current = onSearch;
  });
  if (known !== value) {
    setKnown(value);
    if (value !== sent) setText(value);
  }
  useEffect(() => {
    if (text.trim() === value) return undefined;
    const timer = setTimeout(() => {
      setSent(text.trim());
      search.current(text.trim());
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text, value]);
  return (
    <form role="search" className={className} onSubmit={(event) => {
        event.preventDefault();
        setSent(text.trim());
        onSearch(text.trim());
      }}
    >
      <label htmlFor={id} className="sr-only">
        {label}
      </label>
      <div className="relative">
        <Search aria-hidden className="pointer-events-none absolute top-2.5 left-3 size-4 text-muted-foreground" />
        <Input id={id} type="search" maxLength={200} placeholder={label} className="pl-9" value={text} onChange={(event) => setText(event.target.value)} />
      </div>
    </form>
  );
}
