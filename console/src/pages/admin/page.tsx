import { useQuery } from "@tanstack/react-query";
import { Link, Outlet } from "@tanstack/react-router";
import { Ban } from "lucide-react";
import type { ReactNode } from "react";

import { AccountMenu } from "@/layout/account-menu";
import { OfflineBanner } from "@/layout/banners";
import { Logo } from "@/layout/logo";
import { EmptyState, ErrorState, LoadingState } from "@/layout/states";
import { ownProfileQuery } from "@/session/companies";
import { useTexts } from "@/texts";

const LINK_CLASSES =
  "rounded-md px-2.5 py-1.5 text-sm font-medium whitespace-nowrap text-muted-foreground hover:bg-accent hover:text-accent-foreground aria-[current=page]:bg-accent aria-[current=page]:text-accent-foreground";

/** The frame of the administrators' pages. */
export function AdminFrame(): ReactNode {
  const { admin, layout } = useTexts("admin");
  const profile = useQuery(ownProfileQuery);
  return (
    <div className="flex h-full flex-col">
      <a
        href="#main"
        className="sr-only z-50 rounded-md bg-primary px-4 py-2 text-primary-foreground focus:not-sr-only focus:absolute focus:top-2 focus:left-2"
      >
        {layout.skip}
      </a>
      <header className="flex flex-wrap items-center gap-x-4 gap-y-2 border-b bg-sidebar px-4 py-2">
        <div className="flex items-center gap-2">
          <Logo />
          <span className="font-semibold">{admin.title}</span>
        </div>
        <nav aria-label={layout.navigation} className="order-last -mx-2 w-full min-w-0 overflow-x-auto lg:order-none lg:w-auto lg:flex-1">
          <ul className="flex gap-1 px-2">
            <AdminLinks />
          </ul>
        </nav>
        <div className="ml-auto w-44">
          <AccountMenu side="bottom" />
        </div>
      </header>
      <main id="main" tabIndex={-1} className="min-h-0 flex-1 overflow-y-auto outline-none">
        <OfflineBanner />
        <Guarded profile={profile} />
      </main>
    </div>
  );
}

function AdminLinks() {
  const { admin } = useTexts("admin");
  const links = [
    { to: "/admin/companies", label: admin.companies },
    { to: "/admin/subscriptions", label: admin.subscriptions },
    { to: "/admin/plans", label: admin.plans },
    { to: "/admin/password-reset", label: admin.passwordReset },
  ] as const;
  return (
    <>
      {links.map(({ to, label }) => (
        <li key={to}>
          <Link to={to} className={LINK_CLASSES} activeProps={{ "aria-current": "page" }}>
            {label}
          </Link>
        </li>
      ))}
      <li>
        <Link to="/" className={LINK_CLASSES} activeOptions={{ exact: true }}>
          {admin.toCompany}
        </Link>
      </li>
    </>
  );
}

/** The API refuses everybody else anyway; here the page says it before it asks. */
function Guarded({ profile }: { profile: { data: { is_administrator?: boolean } | undefined; error: Error | null; refetch: () => unknown } }) {
  const { admin } = useTexts("admin");
  if (profile.data === undefined) {
    return profile.error === null ? <LoadingState /> : <ErrorState error={profile.error} onRetry={() => void profile.refetch()} isWholePage />;
  }
  if (profile.data.is_administrator === false) {
    return (
      <EmptyState icon={Ban} title={admin.forbidden} isWholePage>
        <p>{admin.forbiddenHint}</p>
      </EmptyState>
    );
  }
  return <Outlet />;
}
