/** Every English text that a person reads. `fr.ts` has the same shape: a missing text does not compile. */
import { activities } from "./en/activities";
import { admin } from "./en/admin";
import { auth } from "./en/auth";
import { common } from "./en/common";
import { dashboard } from "./en/dashboard";
import { document } from "./en/document";
import { documents } from "./en/documents";
import { errors } from "./en/errors";
import { inbox } from "./en/inbox";
import { layout } from "./en/layout";
import { orders } from "./en/orders";
import { playground } from "./en/playground";
import { products } from "./en/products";
import { settings } from "./en/settings";
import { start } from "./en/start";
import { unanswered } from "./en/unanswered";

export const en = {
  activities,
  admin,
  auth,
  common,
  dashboard,
  document,
  documents,
  errors,
  inbox,
  layout,
  orders,
  playground,
  products,
  settings,
  start,
  unanswered,
};

/** The shape of the texts: each is a text, or a function that makes one. */
export type Texts = typeof en;
