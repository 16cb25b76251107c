import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";

import { MAX_SHOWN_WAITING, waitingCount } from "@/layout/page";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";

import { waitingQuery } from "./waiting";

/** The number of conversations that wait for a person, beside the inbox's entry; also in the title of every page. */
export function WaitingBadge() {
  const { layout } = useTexts();
  const { data: waiting = 0 } = useQuery(waitingQuery);
  useEffect(() => {
    waitingCount.set(waiting);
  }, [waiting]);
  if (waiting === 0) return null;
  return (
    <Badge variant="default">
      <span aria-hidden>{waiting > MAX_SHOWN_WAITING ? `${MAX_SHOWN_WAITING}+` : waiting}</span>
      <span className="sr-only">{layout.waiting(waiting)}</span>
    </Badge>
  );
}
