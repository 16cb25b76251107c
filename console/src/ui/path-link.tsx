import { useRouter } from "@tanstack/react-router";
import type { MouseEvent } from "react";

import { cn } from "@/lib/cn";

/** A link to a path of the console that is made at run time, such as a document at a page. It loads nothing anew. */
export function PathLink({ path, className, children }: { path: string; className?: string; children: string }) {
  const router = useRouter();
  const follow = (event: MouseEvent) => {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    router.history.push(path);
  };
  return (
    <a href={path} onClick={follow} className={cn("underline underline-offset-2 hover:no-underline", className)}>
      {children}
    </a>
  );
}
