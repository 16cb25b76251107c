import type { LinkProps } from "@tanstack/react-router";

import type { Role } from "@/session/company";
import type { Texts } from "@/texts";

export type SectionName = keyof Texts["settings"]["sections"];
export type GroupName = keyof Texts["settings"]["groups"];

export interface SectionEntry {
  name: SectionName;
  to: NonNullable<LinkProps["to"]>;
  group: GroupName;
  /** Every member sees the own profile, and may leave; the rest is the owners'. */
  roles: readonly Role[];
}

const OWNER = ["owner"] as const;

/** The sections of the settings, in their order within a group. The first one that a member may see opens first. */
export const SECTIONS: readonly SectionEntry[] = [
  { name: "bot", to: "/settings/bot", group: "assistant", roles: OWNER },
  { name: "sentences", to: "/settings/sentences", group: "assistant", roles: OWNER },
  { name: "prompts", to: "/settings/prompts", group: "assistant", roles: OWNER },
  { name: "hours", to: "/settings/hours", group: "assistant", roles: OWNER },
  { name: "history", to: "/settings/history", group: "assistant", roles: OWNER },
  { name: "company", to: "/settings/company", group: "company", roles: OWNER },
  { name: "team", to: "/settings/team", group: "company", roles: OWNER },
  { name: "manychat", to: "/settings/manychat", group: "company", roles: OWNER },
  { name: "webhooks", to: "/settings/webhooks", group: "company", roles: OWNER },
  { name: "audit", to: "/settings/audit", group: "company", roles: OWNER },
  { name: "plan", to: "/settings/plan", group: "billing", roles: OWNER },
  { name: "usage", to: "/settings/usage", group: "billing", roles: OWNER },
  { name: "invoices", to: "/settings/invoices", group: "billing", roles: OWNER },
  { name: "profile", to: "/settings/profile", group: "you", roles: ["owner", "support"] },
  { name: "privacy", to: "/settings/privacy", group: "company", roles: ["owner", "support"] },
];
