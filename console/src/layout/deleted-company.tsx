import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { ArchiveRestore } from "lucide-react";

import { call, client } from "@/api/client";
import { session } from "@/api/session";
import { useStore } from "@/lib/store";
import { accountQuery, companyHeader } from "@/session/account";
import type { OwnProfile } from "@/session/companies";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";

import { FormError } from "./form-error";
import { EmptyState, ErrorState, LoadingState } from "./states";
import { showDone } from "./toasts";

interface ProfileState {
  data: OwnProfile | undefined;
  /** True from the first answer on, a refusal too; a later call does not hide what is shown. */
  isFetched: boolean;
}

/** All that is left of the chosen company, which is deleted: until when, and its restoration, for an owner. */
export function DeletedCompany({ profile }: { profile: ProfileState }) {
  const state = useStore(session);
  if (!profile.isFetched) return <LoadingState />;
  const chosen = state.status === "signed-in" ? state.companyId : null;
  // The API refuses the profile of the account owner while the company is deleted; a colleague's says the role.
  const company = profile.data?.companies.find(({ id }) => id === chosen) ?? profile.data?.companies[0];
  if (company === undefined || company.role === "owner") return <Restoration isOther={false} />;
  return <OfColleague purgeAfter={company.purge_after ?? null} />;
}

function OfColleague({ purgeAfter }: { purgeAfter: string | null }) {
  const { layout } = useTexts();
  const format = useFormat();
  const text = layout.deleted;
  return (
    <EmptyState icon={ArchiveRestore} title={text.title} isWholePage>
      <p>{text.text}</p>
      {purgeAfter !== null && <p>{text.until(format.dateTimeInZone(purgeAfter))}</p>}
      <p>{text.askOwner}</p>
    </EmptyState>
  );
}

/**
 * The state of an owner's deleted company, with the way back, which does not wait for the dates. `isOther`: while another
 * company is open.
 */
export function Restoration({ isOther }: { isOther: boolean }) {
  const { layout } = useTexts();
  const text = layout.deleted;
  const format = useFormat();
  const queries = useQueryClient();
  const account = useQuery(accountQuery(isOther));
  const { deleted_at: deletedAt, purge_after: purgeAfter } = account.data ?? {};
  const restore = useMutation({
    mutationFn: async () => (await call(client.POST("/api/v1/privacy/account/restore", { params: { header: companyHeader(isOther) } }))).data,
    onSuccess: async () => {
      showDone(text.restored);
      // Data from before the deletion may have changed, and queries were refused while the company was deleted.
      await queries.invalidateQueries();
    },
    meta: { showsError: true },
  });
  return (
    <>
      <EmptyState
        icon={ArchiveRestore}
        title={isOther ? text.otherTitle : text.title}
        isWholePage={!isOther}
        action={
          <Button isBusy={restore.isPending} onClick={() => restore.mutate()}>
            {text.restore}
          </Button>
        }
      >
        {deletedAt != null && <p>{text.since(format.dateTimeInZone(deletedAt))}</p>}
        <p>{text.text}</p>
        {purgeAfter != null && <p className="font-medium text-foreground">{text.until(format.dateTimeInZone(purgeAfter))}</p>}
        <p>{text.subscription}</p>
      </EmptyState>
      <FormError error={restore.error} />
      {account.isPending && <LoadingState rows={1} />}
      {account.isLoadingError && <ErrorState error={account.error} onRetry={() => void account.refetch()} />}
    </>
  );
}
