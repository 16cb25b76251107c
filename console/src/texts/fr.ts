import type { Texts } from "./en";
import { activities } from "./fr/activities";
import { admin } from "./fr/admin";
import { auth } from "./fr/auth";
import { common } from "./fr/common";
import { dashboard } from "./fr/dashboard";
import { document } from "./fr/document";
import { documents } from "./fr/documents";
import { errors } from "./fr/errors";
import { inbox } from "./fr/inbox";
import { layout } from "./fr/layout";
import { orders } from "./fr/orders";
import { playground } from "./fr/playground";
import { products } from "./fr/products";
import { settings } from "./fr/settings";
import { start } from "./fr/start";
import { unanswered } from "./fr/unanswered";

export const fr: Texts = {
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
