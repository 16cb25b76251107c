/** Every English text that a person reads. `fr.ts` has the same shape: a missing text does not compile. */
import { auth } from "./en/auth";
import { common } from "./en/common";
import { document } from "./en/document";
import { documents } from "./en/documents";
import { errors } from "./en/errors";
import { inbox } from "./en/inbox";
import { layout } from "./en/layout";
import { playground } from "./en/playground";
import { start } from "./en/start";
import { unanswered } from "./en/unanswered";

export const en = { auth, common, document, documents, errors, inbox, layout, playground, start, unanswered };

/** The shape of the texts: each is a text, or a function that makes one. */
export type Texts = typeof en;
