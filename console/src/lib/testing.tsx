/** Tools of component tests: an element on a page of its own, in English, with an empty cache and fake timers. */
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, type ReactNode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, vi } from "vitest";

import { loadTexts, type PageName, startTexts } from "@/texts";

let root: Root | null = null;

/** Prepares each test of a file, and removes what it mounted. `pages`: the texts that the element shows. */
export function preparePage(...pages: readonly PageName[]): void {
  beforeEach(async () => {
    vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
    await startTexts();
    await loadTexts(...pages);
    vi.useFakeTimers();
  });
  afterEach(async () => {
    await unmount();
    document.body.replaceChildren();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });
}

/** An empty cache. Failed calls are not repeated. */
export const emptyCache = () => new QueryClient({ defaultOptions: { queries: { retry: false } } });

/** Mounts the element. */
export async function mount(element: ReactNode, queries = emptyCache()): Promise<void> {
  const mounted = createRoot(document.body.appendChild(document.createElement("div")));
  root = mounted;
  act(() => mounted.render(<QueryClientProvider client={queries}>{element}</QueryClientProvider>));
  await pass();
}

export async function unmount(): Promise<void> {
  act(() => root?.unmount());
  root = null;
  await pass();
}

/** Lets time pass, and all that was due be rendered. */
export async function pass(ms = 1): Promise<void> {
  await act(() => vi.advanceTimersByTimeAsync(ms));
}

export const shown = () => document.body.textContent;
export const button = (name: string) => [...document.querySelectorAll("button")].find(({ textContent }) => textContent === name);
/** The texts of the alerts, one after the other. */
export const alerts = () => [...document.querySelectorAll('[role="alert"]')].map(({ textContent }) => textContent).join("");

export async function click(name: string): Promise<void> {
  act(() => button(name)?.click());
  await pass();
}
