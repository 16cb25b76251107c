import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

/** Leads to a conversation in the inbox. The one place outside of the inbox that knows its address. */
export function ConversationLink({ id, className, children }: { id: string; className?: string; children: ReactNode }) {
  return (
    <Link to="/inbox" search={{ conversation: id }} className={className}>
      {children}
    </Link>
  );
}
