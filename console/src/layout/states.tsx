/** The states that every page has besides its content: loading, empty, error, forbidden, not found. */
import { Link } from "@tanstack/react-router";
import { Ban, CircleAlert, type LucideIcon, SearchX, WifiOff } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";

import { ApiError } from "@/api/errors";
import { textOfError } from "@/lib/error-text";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Skeleton } from "@/ui/skeleton";

const SHOW_AFTER_MS = 300;
const EXPLAIN_AFTER_MS = 10_000;

/** Becomes true after a time, so that what comes at once shows no flash of a skeleton. */
function useElapsed(ms: number): boolean {
  const [hasElapsed, setElapsed] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setElapsed(true), ms);
    return () => clearTimeout(timer);
  }, [ms]);
  return hasElapsed;
}

/** Grey rows after 300 ms, and after ten seconds what is awaited. `children` replaces the rows by the page's own shape. */
export function LoadingState({ rows = 5, children }: { rows?: number; children?: ReactNode }) {
  const { common } = useTexts();
  const isShown = useElapsed(SHOW_AFTER_MS);
  const isLong = useElapsed(EXPLAIN_AFTER_MS);
  return (
    <div role="status" className="w-full" data-state="loading">
      <span className="sr-only">{common.loading}</span>
      {isShown && (children ?? <SkeletonRows rows={rows} />)}
      {isLong && <p className="mt-3 text-sm text-muted-foreground">{common.stillLoading}</p>}
    </div>
  );
}

function SkeletonRows({ rows }: { rows: number }) {
  return (
    <div className="grid gap-3">
      {Array.from({ length: rows }, (_, row) => (
        <Skeleton key={row} className="h-12" />
      ))}
    </div>
  );
}

interface StateProps {
  icon: LucideIcon;
  title: string;
  /** Says what to do next. */
  children?: ReactNode;
  action?: ReactNode;
  role?: "alert";
  /** The state is all that the window shows, so its title is the page's heading. */
  isWholePage?: boolean;
}

function State({ icon: Icon, title, children, action, role, isWholePage = false }: StateProps) {
  const Title = isWholePage ? "h1" : "p";
  return (
    <div role={role} className="mx-auto flex max-w-md flex-col items-center gap-3 px-4 py-12 text-center">
      <Icon aria-hidden className="size-8 text-muted-foreground" />
      <Title className="text-base font-semibold">{title}</Title>
      {children && <div className="grid gap-2 text-sm text-muted-foreground">{children}</div>}
      {action}
    </div>
  );
}

/** Nothing is there yet: names what belongs here and how the first one gets there. */
export function EmptyState(props: Omit<StateProps, "role">) {
  return <State {...props} />;
}

/** Shows any failure by its kind: no connection, forbidden, not found, or an error with a retry. */
export function ErrorState({ error, onRetry, isWholePage }: { error: unknown; onRetry?: () => void; isWholePage?: boolean }) {
  const all = useTexts();
  const { errors, common } = all;
  const status = error instanceof ApiError ? error.status : null;
  const whole = { isWholePage: isWholePage === true };
  const retry = onRetry && (
    <Button variant="outline" onClick={onRetry}>
      {common.retry}
    </Button>
  );
  if (status === 403) {
    return (
      <State icon={Ban} title={errors.forbiddenTitle} role="alert" {...whole}>
        <p>{textOfError(error, all)}</p>
        <p>{errors.forbiddenHint}</p>
        <RequestId error={error} />
      </State>
    );
  }
  if (status === 404) {
    return (
      <State icon={SearchX} title={errors.notFoundTitle} role="alert" {...whole}>
        <p>{errors.notFoundHint}</p>
        <RequestId error={error} />
      </State>
    );
  }
  return (
    <State
      icon={status === 0 ? WifiOff : CircleAlert}
      title={status === 0 ? errors.offlineTitle : errors.title}
      role="alert"
      action={retry}
      {...whole}
    >
      <p>{textOfError(error, all)}</p>
      <RequestId error={error} />
    </State>
  );
}

/** The address names no page. */
export function NotFoundState() {
  const { errors } = useTexts();
  return (
    <main>
      <State
        icon={SearchX}
        title={errors.notFoundTitle}
        isWholePage
        action={
          <Button variant="outline" asChild>
            <Link to="/">{errors.home}</Link>
          </Button>
        }
      >
        <p>{errors.notFoundHint}</p>
      </State>
    </main>
  );
}

/** The id of the failed request, to be selected and sent to support. */
export function RequestId({ error }: { error: unknown }) {
  const { common } = useTexts();
  if (!(error instanceof ApiError) || error.requestId === null) return null;
  return <p className="font-mono text-xs break-all select-all">{common.requestId(error.requestId)}</p>;
}
