import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";

import { NOTHING_WAITS, shownCount, waitingCount } from "@/layout/waiting-count";
import { useTexts } from "@/texts";
import { Badge } from "@/ui/badge";

import { waitingQuery } from "./waiting";

/** The number of conversations that wait for a person, beside the inbox's entry; also in the title of every page. */
export function WaitingBadge() {
  const { layout } = useTexts();
  const { data: waiting = NOTHING_WAITS } = useQuery(waitingQuery);
  useEffect(() => {
    waitingCount.set(waiting);
  }, [waiting]);
  if (waiting.count === 0) return null;
  return (
    <Badge variant="default">
      <span aria-hidden>{shownCount(waiting)}</span>
      <span className="sr-only">{layout.waiting(waiting.count, waiting.has_more)}</span>
    </Badge>
  );
}
