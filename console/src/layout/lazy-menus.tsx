/** The frame's menus, loaded after the frame: their library is large, and nobody opens one at once. */
import { lazyRouteComponent } from "@tanstack/react-router";
import { Suspense } from "react";

const AccountMenu = lazyRouteComponent(() => import("./account-menu"), "AccountMenu");
const CompanyMenu = lazyRouteComponent(() => import("./company-menu"), "CompanyMenu");

export function LazyAccountMenu() {
  return (
    <Suspense fallback={<div className="h-9" />}>
      <AccountMenu />
    </Suspense>
  );
}

/** The present company's name stands in the menu's place until it is there. */
export function LazyCompanyMenu({ name }: { name: string }) {
  return (
    <Suspense fallback={<span className="h-9 min-w-0 flex-1 truncate px-2 py-1.5 text-base font-semibold">{name}</span>}>
      <CompanyMenu />
    </Suspense>
  );
}
