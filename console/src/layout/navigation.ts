import type { LinkProps } from "@tanstack/react-router";
import type { LucideIcon } from "lucide-react";
import type { ComponentType } from "react";

import type { Role } from "@/session/company";
import type { BaseTexts } from "@/texts";

/** An entry of the navigation, which a page exports beside its route. */
export interface NavigationEntry {
  to: NonNullable<LinkProps["to"]>;
  label: (texts: BaseTexts) => string;
  icon: LucideIcon;
  /** Roles whose members see the entry; by default all. */
  roles?: readonly Role[];
  /** A count beside the label. */
  badge?: ComponentType;
}
