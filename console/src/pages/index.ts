/**
 * The registry of the pages. A page is a folder here with route.ts (its address, loaded at once) and page.tsx (loaded when it
 * is opened). It becomes reachable by its route in one of these lists, and visible by its entry in the navigation.
 */
import type { NavigationEntry } from "@/layout/navigation";

import { activitiesEntry, activitiesRoute } from "./activities/route";
import { adminRoute } from "./admin/route";
import { dashboardEntry, dashboardRoute } from "./dashboard/route";
import { documentRoute } from "./document/route";
import { documentsEntry, documentsRoute } from "./documents/route";
import { forgotPasswordRoute } from "./forgot-password/route";
import { homeRoute, startEntry, startRoute } from "./home/route";
import { inboxEntry, inboxRoute } from "./inbox/route";
import { invitationRoute } from "./invitation/route";
import { newOrderRoute, orderRoute, ordersEntry, ordersRoute } from "./orders/route";
import { passwordResetRoute } from "./password-reset/route";
import { playgroundEntry, playgroundRoute } from "./playground/route";
import { importProductsRoute, productsEntry, productsRoute } from "./products/route";
import { settingsEntry, settingsRoute } from "./settings/route";
import { signInRoute } from "./sign-in/route";
import { signUpRoute } from "./sign-up/route";
import { unansweredEntry, unansweredRoute } from "./unanswered/route";

/** Pages without a session. */
export const publicPages = [signInRoute, signUpRoute, invitationRoute, forgotPasswordRoute, passwordResetRoute] as const;

/** Pages of a company's members. */
export const memberPages = [
  homeRoute,
  startRoute,
  inboxRoute,
  unansweredRoute,
  documentsRoute,
  documentRoute,
  playgroundRoute,
  ordersRoute,
  newOrderRoute,
  orderRoute,
  productsRoute,
  importProductsRoute,
  dashboardRoute,
  activitiesRoute,
  settingsRoute,
] as const;

/** Pages of administrators, in a frame of their own. */
export const adminPages = adminRoute;

/** The navigation, in its order. */
export const navigation: readonly NavigationEntry[] = [
  startEntry,
  inboxEntry,
  unansweredEntry,
  dashboardEntry,
  ordersEntry,
  productsEntry,
  documentsEntry,
  playgroundEntry,
  activitiesEntry,
  settingsEntry,
];
