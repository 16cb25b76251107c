import { useInfiniteQuery } from "@tanstack/react-query";

import { useCompany, useIsOwner } from "@/session/company";
import { useTexts } from "@/texts";

import { DeletionCard } from "./privacy-deletion";
import { DepartureCard } from "./privacy-departure";
import { ExportCard } from "./privacy-export";
import { RetentionCard } from "./privacy-retention";
import { membersQuery } from "./queries";
import { Section } from "./section";

/** The section about privacy. Owners export, restrict and delete the company's data; other members delete their own account. */
export function PrivacySection() {
  const { privacy } = useTexts("privacy");
  if (useIsOwner()) {
    return (
      <Section name="privacy">
        <OwnersPart />
      </Section>
    );
  }
  return (
    <Section name="privacy" lead={privacy.supportLead}>
      <DepartureCard />
    </Section>
  );
}

function OwnersPart() {
  const { user } = useCompany();
  const members = useInfiniteQuery(membersQuery);
  const me = members.data?.pages.flatMap(({ data }) => data).find(({ user_id: id }) => id === user.id);
  return (
    <>
      <ExportCard />
      <RetentionCard />
      <DeletionCard />
      {/* The account owner is refused: the company would belong to nobody. */}
      {me?.is_account_owner === false && <DepartureCard />}
    </>
  );
}
