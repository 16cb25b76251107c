import { ChevronLeft, ChevronRight } from "lucide-react";
import { useEffect, useId, useState } from "react";

import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Input } from "@/ui/input";

interface NavigationProps {
  page: number;
  /** Null while nobody knows the number of pages. */
  total: number | null;
  isPdf: boolean;
  onTurn: (page: number) => void;
}

const TYPING = "input, textarea, select, [contenteditable], [role=menu], dialog";

/** Turns the pages: buttons, a number, and the arrow keys outside of fields. */
export function PageNavigation({ page, total, isPdf, onTurn }: NavigationProps) {
  const { document: texts } = useTexts("document");
  const id = useId();
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const isTyping = event.target instanceof Element && event.target.closest(TYPING) !== null;
      if (isTyping || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
      if (event.key === "ArrowRight") onTurn(page + 1);
      if (event.key === "ArrowLeft") onTurn(page - 1);
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [page, onTurn]);
  return (
    <div className="flex items-center gap-1.5 text-sm">
      <Button variant="outline" size="icon" aria-label={texts.previous} disabled={page <= 1} onClick={() => onTurn(page - 1)}>
        <ChevronLeft aria-hidden />
      </Button>
      <label htmlFor={id}>{isPdf ? texts.page : texts.part}</label>
      <PageInput key={page} id={id} page={page} total={total} onTurn={onTurn} />
      {total !== null && <span className="text-muted-foreground">{texts.of(total)}</span>}
      <Button variant="outline" size="icon" aria-label={texts.next} disabled={total === null || page >= total} onClick={() => onTurn(page + 1)}>
        <ChevronRight aria-hidden />
      </Button>
    </div>
  );
}

function PageInput({ id, page, total, onTurn }: { id: string } & Pick<NavigationProps, "page" | "total" | "onTurn">) {
  const [typed, setTyped] = useState(String(page));
  const go = () => {
    const number = Number(typed);
    if (Number.isInteger(number) && number > 0) {
      onTurn(number);
      if (total !== null && number > total) setTyped(String(total));
    } else setTyped(String(page));
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        go();
      }}
    >
      <Input id={id} inputMode="numeric" className="w-16 text-center" value={typed} onChange={(event) => setTyped(event.target.value)} onBlur={go} />
    </form>
  );
}
