import { Link, Navigate, Outlet, useRouterState } from "@tanstack/react-router";
import { Ban } from "lucide-react";
import { type ReactNode, useEffect, useRef } from "react";

import { EmptyState } from "@/layout/states";
import { useCompany } from "@/session/company";
import { useTexts } from "@/texts";

import { useDraft, useDraftKey } from "./draft-form";
import { type GroupName, SECTIONS, type SectionEntry } from "./sections";

const GROUPS: readonly GroupName[] = ["assistant", "company", "billing", "you"];

function useSections(): SectionEntry[] {
  const { role } = useCompany().user;
  return SECTIONS.filter(({ roles }) => roles.some((known) => known === role));
}

/** The settings: their sections at the side, above on a narrow window, and the chosen one. */
export function SettingsPage(): ReactNode {
  const { layout } = useTexts();
  const path = useRouterState({ select: (router) => router.location.pathname });
  const sections = useSections();
  const isOpen = ({ to }: SectionEntry) => path === to || path.startsWith(`${to}/`);
  const isHidden = SECTIONS.some(isOpen) && !sections.some(isOpen);
  return (
    <div className="mx-auto grid w-full max-w-6xl gap-x-8 gap-y-4 px-4 py-5 sm:px-6 lg:grid-cols-[12rem_minmax(0,1fr)]">
      <SectionLinks sections={sections} path={path} />
      {isHidden ? (
        <EmptyState icon={Ban} title={layout.ownersOnly} isWholePage>
          <p>{layout.ownersOnlyHint}</p>
        </EmptyState>
      ) : (
        <Outlet />
      )}
    </div>
  );
}

function SectionLinks({ sections, path }: { sections: readonly SectionEntry[]; path: string }) {
  const { settings } = useTexts("settings");
  const nav = useRef<HTMLElement>(null);
  useEffect(() => {
    // On a narrow window the sections are one line, of which the chosen one may be out of sight.
    const chosen = nav.current?.querySelector<HTMLElement>('[aria-current="page"]');
    if (chosen && nav.current) nav.current.scrollLeft = chosen.offsetLeft - nav.current.clientWidth / 3;
  }, [path]);
  if (sections.length < 2) return <div className="hidden lg:block" />;
  return (
    <nav
      ref={nav}
      aria-label={settings.title}
      className="relative -mx-4 overflow-x-auto border-b px-4 pb-2 sm:-mx-6 sm:px-6 lg:sticky lg:top-5 lg:mx-0 lg:self-start lg:border-b-0 lg:p-0"
    >
      <div className="flex gap-1 lg:grid lg:gap-4">
        {GROUPS.map((group) => {
          const entries = sections.filter((entry) => entry.group === group);
          return (
            entries.length > 0 && (
              <div key={group} className="contents lg:block">
                <p className="hidden px-2.5 pb-1 text-xs font-medium text-muted-foreground lg:block">{settings.groups[group]}</p>
                <ul className="flex gap-1 lg:grid lg:gap-0.5">
                  {entries.map((entry) => (
                    <li key={entry.name}>
                      <SectionLink entry={entry} />
                    </li>
                  ))}
                </ul>
              </div>
            )
          );
        })}
      </div>
    </nav>
  );
}

function SectionLink({ entry: { name, to } }: { entry: SectionEntry }) {
  const { settings } = useTexts("settings");
  const isChanged = Object.keys(useDraft(useDraftKey(name))).length > 0;
  return (
    <Link
      to={to}
      activeProps={{ "aria-current": "page" }}
      className="flex items-center gap-2 rounded-md px-2.5 py-1.5 text-sm font-medium whitespace-nowrap text-muted-foreground hover:bg-accent hover:text-accent-foreground aria-[current=page]:bg-accent aria-[current=page]:text-accent-foreground"
    >
      {settings.sections[name]}
      {isChanged && (
        <>
          <span aria-hidden className="size-2 shrink-0 rounded-full bg-warning" />
          <span className="sr-only">{settings.unsavedMark}</span>
        </>
      )}
    </Link>
  );
}

/** Opens the first section that the member may see. */
export function FirstSection(): ReactNode {
  const first = useSections()[0];
  return first === undefined ? null : <Navigate to={first.to} replace />;
}
