/** Every English text that a person reads. `fr.ts` has the same shape: a missing text does not compile. */
import { admin } from "./en/admin";
import { auth } from "./en/auth";
import { common } from "./en/common";
import { documents } from "./en/documents";
import { errors } from "./en/errors";
import { layout } from "./en/layout";
import { settings } from "./en/settings";

export const en = { admin, auth, common, documents, errors, layout, settings };

/** The shape of the texts: each is a text, or a function that makes one. */
export type Texts = typeof en;
