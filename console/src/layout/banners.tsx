import { useMutation } from "@tanstack/react-query";
import { CreditCard, WifiOff, X } from "lucide-react";
import { useSyncExternalStore } from "react";

import { call, client, paymentRequired } from "@/api/client";
import { textOfError } from "@/lib/error-text";
import { useStore } from "@/lib/store";
import { useIsOwner } from "@/session/company";
import { useTexts } from "@/texts";
import { Alert } from "@/ui/alert";
import { Button } from "@/ui/button";

function subscribeToConnection(listener: () => void): () => void {
  window.addEventListener("online", listener);
  window.addEventListener("offline", listener);
  return () => {
    window.removeEventListener("online", listener);
    window.removeEventListener("offline", listener);
  };
}

/** Says above every page that there is no connection. */
export function OfflineBanner() {
  const { layout } = useTexts();
  const isOnline = useSyncExternalStore(subscribeToConnection, () => navigator.onLine);
  return (
    <div role="status">
      {!isOnline && (
        <Alert variant="warning" className="rounded-none border-x-0 border-t-0">
          <WifiOff aria-hidden /> <span className="min-w-0 flex-1">{layout.offline}</span>
        </Alert>
      )}
    </div>
  );
}

/** Says above every page that a call met the limit of the plan (402), with the way to another plan. */
export function PaywallBanner() {
  const all = useTexts();
  const { layout, common } = all;
  const error = useStore(paymentRequired);
  const isOwner = useIsOwner();
  const checkout = useMutation({
    mutationFn: async () => (await call(client.POST("/api/v1/billing/checkout", { body: { plan: "pro" } }))).data,
    onSuccess: ({ url }) => window.location.assign(url),
  });
  return (
    <div role="status">
      {error !== null && (
        <Alert variant="warning" className="rounded-none border-x-0 border-t-0">
          <CreditCard aria-hidden />
          <span className="min-w-0 flex-1">
            <strong className="font-semibold">{layout.paywall.title}.</strong> {textOfError(error, all)}{" "}
            {!isOwner && layout.paywall.askOwner}
          </span>
          {isOwner && (
            <Button size="sm" isBusy={checkout.isPending} onClick={() => checkout.mutate()}>
              {layout.paywall.choose}
            </Button>
          )}
          <Button variant="ghost" size="icon" className="size-7" aria-label={common.dismiss} onClick={() => paymentRequired.set(null)}>
            <X aria-hidden />
          </Button>
        </Alert>
      )}
    </div>
  );
}
