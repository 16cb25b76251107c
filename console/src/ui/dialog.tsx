import { X } from "lucide-react";
import { type ReactNode, useEffect, useId, useRef } from "react";

import { cn } from "@/lib/cn";
import { useTexts } from "@/texts";

import { Button } from "./button";

interface DialogProps {
  title: string;
  /** Mount the dialog to open it, unmount it to close it. */
  onClose: () => void;
  children: ReactNode;
  /** The buttons at the foot. */
  actions?: ReactNode;
  className?: string;
}

/**
 * The browser's modal dialog: it keeps the focus, makes the rest inert and closes on Escape. Radix's one would add a style
 * element, which the content security policy refuses.
 */
export function Dialog({ title, onClose, children, actions, className }: DialogProps) {
  const { common } = useTexts();
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={ref}
      aria-labelledby={titleId}
      className={cn(
        "m-auto max-h-[calc(100dvh-2rem)] w-[calc(100%-2rem)] max-w-lg flex-col overflow-hidden rounded-lg border bg-card text-card-foreground shadow-lg open:flex",
        className,
      )}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <div className="flex items-center justify-between gap-4 border-b px-5 py-3">
        <h2 id={titleId} className="min-w-0 text-base font-semibold break-words">
          {title}
        </h2>
        <Button variant="ghost" size="icon" aria-label={common.close} onClick={onClose}>
          <X aria-hidden />
        </Button>
      </div>
      <div className="min-h-0 flex-1 overflow-y-auto px-5 py-4">{children}</div>
      {actions && <div className="flex flex-wrap justify-end gap-2 border-t px-5 py-3">{actions}</div>}
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  /** Names what will be gone. */
  text: ReactNode;
  confirm: string;
  isBusy: boolean;
  onConfirm: () => void;
  onClose: () => void;
}

/** Asks once before something that cannot be undone. */
export function ConfirmDialog({ title, text, confirm, isBusy, onConfirm, onClose }: ConfirmProps) {
  const { common } = useTexts();
  return (
    <Dialog
      title={title}
      onClose={onClose}
      actions={
        <>
          <Button variant="outline" onClick={onClose}>
            {common.cancel}
          </Button>
          <Button variant="destructive" isBusy={isBusy} onClick={onConfirm}>
            {confirm}
          </Button>
        </>
      }
    >
      <div className="text-sm break-words">{text}</div>
    </Dialog>
  );
}
