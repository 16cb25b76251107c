/** Actions of a member on a conversation. Each answer of the server is shown at once, and the changes feed confirms it. */
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { call, client } from "@/api/client";
import { showDone } from "@/layout/toasts";
import { useTexts } from "@/texts";

import { type Draft, dropDraft } from "./drafts";
import { type Message, storeConversation, storeFeedback, storeMessage } from "./queries";

export function useTakeOver() {
  const { inbox } = useTexts("inbox");
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (id: string) =>
      (await call(client.POST("/api/v1/conversations/{id}/takeover", { params: { path: { id } } }))).data,
    onSuccess: (item) => {
      storeConversation(queries, item);
      showDone(inbox.takenOver);
    },
  });
}

export function useGiveBack() {
  const { inbox } = useTexts("inbox");
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (id: string) =>
      (await call(client.POST("/api/v1/conversations/{id}/release", { params: { path: { id } } }))).data,
    onSuccess: (item) => {
      storeConversation(queries, item);
      showDone(inbox.givenBack);
    },
  });
}

/** Sends a draft. Its key makes a repetition after a lost connection harmless. */
export function useReply(user: string, conversation: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (draft: Draft) => {
      const params = { path: { id: conversation }, header: { "Idempotency-Key": draft.key } };
      const body = { text: draft.text };
      return (await call(client.POST("/api/v1/conversations/{id}/reply", { params, body }))).data;
    },
    onSuccess: async (message, draft) => {
      dropDraft(user, conversation, draft);
      storeMessage(queries, message);
      await Promise.all([
        queries.invalidateQueries({ queryKey: ["conversations"] }),
        queries.invalidateQueries({ queryKey: ["waiting"] }),
      ]);
    },
    meta: { showsError: true },
  });
}

/** Rates an answer of the bot. The rating is shown at once, and taken back when the server refuses it. */
export function useRating({ id, own_feedback: given }: Message) {
  const { inbox } = useTexts("inbox");
  const queries = useQueryClient();
  const rate = useMutation({
    mutationFn: async (isHelpful: boolean) =>
      (await call(client.POST("/api/v1/messages/{id}/feedback", { params: { path: { id } }, body: { is_helpful: isHelpful } }))).data,
    onSuccess: (stored) => {
      storeFeedback(queries, stored);
      showDone(inbox.rated);
    },
  });
  return { isHelpful: rate.isPending ? rate.variables : (given?.is_helpful ?? null), rate: rate.mutate };
}
