import { Navigate } from "@tanstack/react-router";

import { ErrorState, LoadingState } from "@/layout/states";
import { useIsOwner } from "@/session/company";

import { isStartHidden } from "./hidden";
import { nextStep, useProgress } from "./progress";
import { useCompany } from "@/session/company";

/** Decides by the company's state where a member begins. */
export function HomePage() {
  const isOwner = useIsOwner();
  const { tenant } = useCompany();
  return isOwner && !isStartHidden(tenant.id) ? <OwnerHome /> : <Navigate to="/inbox" replace />;
}

function OwnerHome() {
  const { progress, error, retry } = useProgress();
  if (progress !== undefined) return <Navigate to={nextStep(progress) === null ? "/inbox" : "/start"} replace />;
  return <div className="p-6">{error === null ? <LoadingState /> : <ErrorState error={error} onRetry={retry} isWholePage />}</div>;
}
