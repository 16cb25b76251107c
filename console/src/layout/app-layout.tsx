import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Navigate, Outlet, useRouterState } from "@tanstack/react-router";
import { Building2, Menu as MenuIcon } from "lucide-react";
import { type RefObject, useEffect, useRef, useState } from "react";

import { cursorQuery, followChanges, forgetCursor } from "@/api/changes";
import { ApiError } from "@/api/errors";
import { session } from "@/api/session";
import { useStore } from "@/lib/store";
import { CompanyProvider, useContextQuery } from "@/session/company";
import { ownProfileQuery } from "@/session/companies";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";

import { OfflineBanner, PaywallBanner } from "./banners";
import { CompanySwitcher, OtherCompanies } from "./company-switcher";
import { DeletedCompany } from "./deleted-company";
import { LazyAccountMenu } from "./lazy-menus";
import { Sidebar } from "./sidebar";
import { EmptyState, ErrorState, LoadingState } from "./states";
import { shownCount, waitingCount } from "./waiting-count";

/** The frame of a company's pages, mounted anew for another company: nothing of the one before may stay. */
export function AppLayout() {
  const state = useStore(session);
  return <CompanyLayout key={state.status === "signed-in" ? state.companyId : null} />;
}

/** Loads the company's context first, as every page needs it, and where the changes feed stands before a page loads data. */
function CompanyLayout() {
  const context = useContextQuery();
  const isShut = isClosed(context.error);
  // A company that is closed and opened again gets a new place in the feed.
  const cursor = useQuery({ ...cursorQuery, enabled: !isShut });
  if (context.data === undefined || cursor.data === undefined || isShut) {
    return <WithoutCompany error={context.error} onRetry={() => void context.refetch()} />;
  }
  return (
    <CompanyProvider value={context.data}>
      <Frame cursor={cursor.data} />
    </CompanyProvider>
  );
}

/** True when the company was deleted or suspended, also while it was open here. */
function isClosed(error: Error | null): boolean {
  return error instanceof ApiError && (error.code === "tenant_deleted" || error.code === "tenant_suspended");
}

/** Loading, no company yet, a deleted or suspended company, no connection: no navigation, but a way out. */
function WithoutCompany({ error, onRetry }: { error: Error | null; onRetry: () => void }) {
  const { layout } = useTexts();
  const hasNoCompany = error instanceof ApiError && error.code === "tenant_required";
  const isDeleted = error instanceof ApiError && error.code === "tenant_deleted";
  // Asked for again: the profile of a moment ago has the company as it was before it was closed.
  const profile = useQuery({ ...ownProfileQuery, enabled: error !== null, staleTime: 0 });
  // The API answers 403 to an administrator who is a member of no company.
  const isRefused = error instanceof ApiError && (error.status === 403 || hasNoCompany);
  if (isRefused && profile.data?.is_administrator === true) return <Navigate to="/admin/companies" replace />;
  return (
    <main className="mx-auto flex h-full max-w-2xl flex-col justify-center gap-6 p-6">
      {error === null && <LoadingState />}
      {hasNoCompany && (
        <EmptyState icon={Building2} title={layout.noCompany} isWholePage>
          <p>{layout.noCompanyHint}</p>
        </EmptyState>
      )}
      {isDeleted && <DeletedCompany profile={profile} />}
      {error !== null && !hasNoCompany && !isDeleted && <ErrorState error={error} onRetry={onRetry} isWholePage />}
      {error !== null && <OtherCompanies />}
      {error !== null && (
        <div className="mx-auto w-64">
          <LazyAccountMenu />
        </div>
      )}
    </main>
  );
}

function Frame({ cursor }: { cursor: string }) {
  const { layout } = useTexts();
  const main = useRef<HTMLElement>(null);
  useChangesFeed(cursor);
  useFocusAfterNavigation(main);
  return (
    <div className="grid h-full grid-rows-[auto_minmax(0,1fr)] lg:grid-cols-[15rem_minmax(0,1fr)] lg:grid-rows-1">
      <a
        href="#main"
        className="sr-only z-50 rounded-md bg-primary px-4 py-2 text-primary-foreground focus:not-sr-only focus:absolute focus:top-2 focus:left-2"
      >
        {layout.skip}
      </a>
      <header className="hidden min-h-0 border-r lg:block">
        <Sidebar />
      </header>
      <MobileBar />
      <main id="main" ref={main} tabIndex={-1} className="flex min-h-0 flex-col outline-none">
        <OfflineBanner />
        <PaywallBanner />
        <div className="min-h-0 flex-1 overflow-y-auto">
          <Outlet />
        </div>
      </main>
    </div>
  );
}

/** The bar of a narrow window, with the navigation in a drawer and what waits on its button. */
function MobileBar() {
  const { layout } = useTexts();
  const waiting = useStore(waitingCount);
  const dialog = useRef<HTMLDialogElement>(null);
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    if (isOpen) dialog.current?.showModal();
    else dialog.current?.close();
  }, [isOpen]);
  return (
    <header className="flex items-center gap-2 border-b bg-sidebar px-2 py-1.5 lg:hidden">
      <Button
        variant="ghost"
        size="icon"
        className="relative"
        aria-label={waiting.count === 0 ? layout.menu : `${layout.menu} – ${layout.waiting(waiting.count, waiting.has_more)}`}
        aria-expanded={isOpen}
        onClick={() => setOpen(true)}
      >
        <MenuIcon aria-hidden />
        {waiting.count > 0 && (
          <span aria-hidden className="absolute top-0 left-5 rounded-full bg-primary px-1 text-[0.625rem] leading-4 font-semibold text-primary-foreground">
            {shownCount(waiting)}
          </span>
        )}
      </Button>
      <dialog
        ref={dialog}
        aria-label={layout.menu}
        onClose={() => setOpen(false)}
        className="m-0 h-dvh max-h-none w-72 max-w-[85vw] border-r bg-sidebar text-foreground"
      >
        {isOpen && <Sidebar onNavigate={() => setOpen(false)} />}
      </dialog>
      <CompanySwitcher />
    </header>
  );
}

/** Follows the changes of the company for as long as the layout is shown. */
function useChangesFeed(cursor: string): void {
  const queries = useQueryClient();
  useEffect(() => {
    const stop = new AbortController();
    void followChanges(queries, stop.signal, cursor);
    return () => stop.abort();
  }, [queries, cursor]);
  useEffect(() => () => forgetCursor(queries), [queries]);
}

/** Moves the focus to the new page, so that a keyboard and a screen reader go on there. */
function useFocusAfterNavigation(main: RefObject<HTMLElement | null>): void {
  const path = useRouterState({ select: (router) => router.location.pathname });
  const page = path.split("/")[1];
  const shown = useRef(page);
  useEffect(() => {
    if (shown.current === page) return;
    shown.current = page;
    main.current?.focus();
  }, [page, main]);
}
