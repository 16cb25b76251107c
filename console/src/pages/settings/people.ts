import { useInfiniteQuery } from "@tanstack/react-query";

import { useTexts } from "@/texts";

import { membersQuery } from "./queries";

/** Returns the name behind a user's id: of a member, else what it can be. */
export function usePersonName(): (id: string | null | undefined) => string {
  const { settings } = useTexts("settings");
  const members = useInfiniteQuery(membersQuery);
  const names = new Map(members.data?.pages.flatMap(({ data }) => data.map((member) => [member.user_id, member.full_name ?? member.email] as const)));
  return (id) => (id === null || id === undefined ? settings.system : (names.get(id) ?? settings.formerMember));
}
