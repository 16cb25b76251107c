import { Ban } from "lucide-react";
import type { ReactNode } from "react";

import { useTexts } from "@/texts";

import { Page } from "./page";
import { EmptyState } from "./states";

/** The place of a page that only owners see. `children` say what others may do. */
export function OwnersOnly({ title, children }: { title: string; children: ReactNode }) {
  const { layout } = useTexts();
  return (
    <Page title={title}>
      <EmptyState icon={Ban} title={layout.ownersOnly}>
        <p>{children}</p>
        <p>{layout.ownersOnlyHint}</p>
      </EmptyState>
    </Page>
  );
}
