import { createStore } from "./store";
import { readStored, writeStored } from "./storage";

export type Theme = "light" | "dark" | "system";

const KEY = "lisa.theme";
const systemIsDark = () => window.matchMedia("(prefers-color-scheme: dark)");

function storedTheme(): Theme {
  const stored = readStored(KEY);
  return stored === "light" || stored === "dark" ? stored : "system";
}

export const theme = createStore<Theme>("system");

/** Applies the stored theme and follows the system's one. `public/theme.js` does the same before the first paint. */
export function startTheme(): void {
  theme.set(storedTheme());
  systemIsDark().addEventListener("change", apply);
  theme.subscribe(apply);
}

export function chooseTheme(choice: Theme): void {
  writeStored(KEY, choice === "system" ? null : choice);
  theme.set(choice);
}

function apply(): void {
  const choice = theme.get();
  const isDark = choice === "dark" || (choice === "system" && systemIsDark().matches);
  document.documentElement.classList.toggle("dark", isDark);
}
