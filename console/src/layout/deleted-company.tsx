import { useMutation, useQueryClient } from "@tanstack/react-query";
import { ArchiveRestore } from "lucide-react";

import { call, client } from "@/api/client";
import { session } from "@/api/session";
import { useStore } from "@/lib/store";
import type { OwnProfile } from "@/session/companies";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";

import { FormError } from "./form-error";
import { EmptyState, LoadingState } from "./states";
import { showDone } from "./toasts";

interface ProfileState {
  data: OwnProfile | undefined;
  isPending: boolean;
}

/** All that is left of a deleted company: its restoration, for an owner. */
export function DeletedCompany({ profile }: { profile: ProfileState }) {
  const { layout } = useTexts();
  const text = layout.deleted;
  const state = useStore(session);
  const queries = useQueryClient();
  const restore = useMutation({
    mutationFn: async () => (await call(client.POST("/api/v1/privacy/account/restore"))).data,
    onSuccess: async () => {
      showDone(text.restored);
      // Data from before the deletion may have changed, and queries were refused while the company was deleted.
      await queries.invalidateQueries();
    },
    meta: { showsError: true },
  });
  if (profile.isPending) return <LoadingState />;
  const chosen = state.status === "signed-in" ? state.companyId : null;
  // The API refuses the profile of the account owner while the company is deleted; a colleague's says the role.
  const company = profile.data?.companies.find(({ id }) => id === chosen) ?? profile.data?.companies[0];
  const isOwner = company === undefined || company.role === "owner";
  return (
    <>
      <EmptyState
        icon={ArchiveRestore}
        title={text.title}
        isWholePage
        action={
          isOwner && (
            <Button isBusy={restore.isPending} onClick={() => restore.mutate()}>
              {text.restore}
            </Button>
          )
        }
      >
        <p>{text.text}</p>
        <p>{isOwner ? text.subscription : text.askOwner}</p>
      </EmptyState>
      <FormError error={restore.error} />
    </>
  );
}
