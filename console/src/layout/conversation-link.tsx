import { Link, type LinkProps } from "@tanstack/react-router";
import type { ReactNode } from "react";

/** Leads to a conversation in the inbox. The one place outside of the inbox that knows its address. */
export function ConversationLink({ id, className, children }: { id: string; className?: string; children: ReactNode }) {
  return (
    <Link {...({ to: "/inbox", search: { conversation: id } } as unknown as LinkProps)} className={className}>
      {children}
    </Link>
  );
}
