/** The inbox's keys: single letters, which a member can switch off (WCAG 2.1.4). */
import { useEffect, useRef } from "react";

import { createStore, useStore } from "@/lib/store";
import { readStored, writeStored } from "@/lib/storage";

export type Command = "next" | "previous" | "open" | "reply" | "take" | "give" | "search" | "help";

const STORAGE_KEY = "lisa.keys-off";
const enabled = createStore(readStored(STORAGE_KEY) === null);

export function useKeysEnabled(): boolean {
  return useStore(enabled);
}

export function setKeysEnabled(isEnabled: boolean): void {
  writeStored(STORAGE_KEY, isEnabled ? null : "1");
  enabled.set(isEnabled);
}

const COMMANDS: Record<string, Command> = {
  ArrowDown: "next",
  ArrowUp: "previous",
  Enter: "open",
  r: "reply",
  t: "take",
  g: "give",
  "/": "search",
  "?": "help",
};

interface Press {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  defaultPrevented: boolean;
  target: EventTarget | null;
}

/** The command of a key, unless the key belongs to what has the focus: a text, a menu, a dialog, a button, the thread. */
export function commandOf(press: Press): Command | null {
  if (press.defaultPrevented || press.ctrlKey || press.metaKey || press.altKey) return null;
  const command = COMMANDS[press.key.length === 1 ? press.key.toLowerCase() : press.key];
  if (command === undefined) return null;
  const target = press.target instanceof Element ? press.target : null;
  if (target?.closest("input, textarea, select, [contenteditable], dialog, [role=menu]") != null) return null;
  if (command === "open" && target?.closest("a, button, summary") != null) return null;
  if ((command === "next" || command === "previous") && target?.closest("[role=log]") != null) return null;
  return command;
}

/** Calls `run` for each command that is typed while the inbox is shown. */
export function useCommands(run: (command: Command) => void): void {
  const isEnabled = useKeysEnabled();
  const latest = useRef(run);
  useEffect(() => {
    latest.current = run;
  });
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      const command = commandOf(event);
      if (command === null || (!isEnabled && event.key.length === 1)) return;
      event.preventDefault();
      latest.current(command);
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, [isEnabled]);
}
