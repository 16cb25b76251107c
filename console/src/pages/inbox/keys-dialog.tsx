import { useId } from "react";

import { useTexts } from "@/texts";
import { Dialog } from "@/ui/dialog";
import { Switch } from "@/ui/switch";

import { setKeysEnabled, useKeysEnabled } from "./keys";

export function Key({ children }: { children: string }) {
  return <kbd className="rounded-sm border bg-muted px-1.5 py-0.5 font-mono text-xs text-foreground">{children}</kbd>;
}

/** The list of the keys, with the switch for those without Ctrl or Alt. */
export function KeysDialog({ onClose }: { onClose: () => void }) {
  const { inbox } = useTexts("inbox");
  const { keys } = inbox;
  const isEnabled = useKeysEnabled();
  const id = useId();
  const rows: [string[], string][] = [
    [["↑", "↓"], keys.walk],
    [["Enter"], keys.open],
    [["R"], keys.reply],
    [["T"], keys.take],
    [["G"], keys.give],
    [["/"], keys.search],
    [["Esc"], keys.leave],
    [["?"], keys.help],
  ];
  return (
    <Dialog title={keys.title} onClose={onClose}>
      <dl className="grid grid-cols-[auto_minmax(0,1fr)] items-center gap-x-4 gap-y-2 text-sm">
        {rows.map(([names, text]) => (
          <div key={text} className="contents">
            <dt className="flex gap-1">
              {names.map((name) => (
                <Key key={name}>{name}</Key>
              ))}
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
      <div className="mt-5 flex items-start gap-3 border-t pt-4">
        <Switch id={id} checked={isEnabled} onCheckedChange={setKeysEnabled} aria-describedby={`${id}-hint`} />
        <div className="grid gap-1 text-sm">
          <label htmlFor={id} className="font-medium">
            {keys.on}
          </label>
          <p id={`${id}-hint`} className="text-muted-foreground">
            {keys.onHint}
          </p>
        </div>
      </div>
    </Dialog>
  );
}
