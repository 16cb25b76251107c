import type { Texts } from "./en";
import { activities } from "./fr/activities";
import { auth } from "./fr/auth";
import { common } from "./fr/common";
import { dashboard } from "./fr/dashboard";
import { documents } from "./fr/documents";
import { errors } from "./fr/errors";
import { layout } from "./fr/layout";
import { orders } from "./fr/orders";
import { products } from "./fr/products";

export const fr: Texts = { activities, auth, common, dashboard, documents, errors, layout, orders, products };
