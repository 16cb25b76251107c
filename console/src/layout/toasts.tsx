import { CircleAlert, CircleCheck, X } from "lucide-react";

import { ApiError } from "@/api/errors";
import { cn } from "@/lib/cn";
import { textOfError } from "@/lib/error-text";
import { createStore, useStore } from "@/lib/store";
import { texts, useTexts } from "@/texts";
import { Button } from "@/ui/button";

interface Toast {
  id: number;
  kind: "done" | "error";
  text: string;
  requestId: string | null;
}

const toasts = createStore<readonly Toast[]>([]);
const MAX_TOASTS = 3;
const DONE_MS = 5_000;
let lastId = 0;

/** Confirms something that was done, for five seconds. */
export function showDone(text: string): void {
  const id = add({ kind: "done", text, requestId: null });
  window.setTimeout(() => remove(id), DONE_MS);
}

/** Says what failed, until it is closed: an error that vanishes by itself cannot be read again. */
export function showError(error: unknown): void {
  add({ kind: "error", text: textOfError(error, texts()), requestId: error instanceof ApiError ? error.requestId : null });
}

function add(toast: Omit<Toast, "id">): number {
  lastId += 1;
  toasts.set([...toasts.get().filter(({ text }) => text !== toast.text), { ...toast, id: lastId }].slice(-MAX_TOASTS));
  return lastId;
}

function remove(id: number): void {
  toasts.set(toasts.get().filter((toast) => toast.id !== id));
}

/** The live region of the toasts. It is always in the page, as screen readers only watch regions that they know. */
export function Toasts() {
  const { common, layout } = useTexts();
  const list = useStore(toasts);
  return (
    <div
      role="region"
      aria-label={layout.notifications}
      aria-live="polite"
      className="pointer-events-none fixed inset-x-4 bottom-4 z-50 flex flex-col items-end gap-2"
    >
      {list.map((toast) => (
        <div
          key={toast.id}
          className={cn(
            "pointer-events-auto flex w-full max-w-sm items-start gap-3 rounded-md border bg-popover px-4 py-3 text-sm text-popover-foreground shadow-lg",
            toast.kind === "error" && "border-destructive",
          )}
        >
          {toast.kind === "error" ? (
            <CircleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-destructive" />
          ) : (
            <CircleCheck aria-hidden className="mt-0.5 size-4 shrink-0 text-success" />
          )}
          <div className="min-w-0 flex-1 break-words">
            {toast.text}
            {toast.requestId !== null && (
              <div className="mt-1 font-mono text-xs break-all text-muted-foreground">{common.requestId(toast.requestId)}</div>
            )}
          </div>
          <Button variant="ghost" size="icon" className="-my-1.5 -mr-2 size-7" aria-label={common.dismiss} onClick={() => remove(toast.id)}>
            <X aria-hidden />
          </Button>
        </div>
      ))}
    </div>
  );
}
