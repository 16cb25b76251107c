import { Outlet } from "@tanstack/react-router";

import { useTexts } from "@/texts";

import { LanguageSelect } from "./language-select";
import { Logo } from "./logo";

/** A narrow column in the middle of the window. */
export function PublicLayout() {
  const { common } = useTexts();
  return (
    <div className="flex min-h-full flex-col">
      <header className="flex items-center justify-between gap-4 px-4 py-4 sm:px-6">
        <span className="flex items-center gap-2 text-lg font-semibold">
          <Logo /> {common.product}
        </span>
        <LanguageSelect />
      </header>
      <main className="mx-auto w-full max-w-md flex-1 px-4 pt-4 pb-12 sm:pt-12">
        <Outlet />
      </main>
    </div>
  );
}
