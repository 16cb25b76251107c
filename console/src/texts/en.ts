/** Every English text that a person reads. `fr.ts` has the same shape: a missing text does not compile. */
import { activities } from "./en/activities";
import { auth } from "./en/auth";
import { common } from "./en/common";
import { dashboard } from "./en/dashboard";
import { documents } from "./en/documents";
import { errors } from "./en/errors";
import { layout } from "./en/layout";
import { orders } from "./en/orders";
import { products } from "./en/products";

export const en = { activities, auth, common, dashboard, documents, errors, layout, orders, products };

/** The shape of the texts: each is a text, or a function that makes one. */
export type Texts = typeof en;
