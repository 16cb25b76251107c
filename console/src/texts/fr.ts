import type { Texts } from "./en";
import { auth } from "./fr/auth";
import { common } from "./fr/common";
import { document } from "./fr/document";
import { documents } from "./fr/documents";
import { errors } from "./fr/errors";
import { inbox } from "./fr/inbox";
import { layout } from "./fr/layout";
import { playground } from "./fr/playground";
import { start } from "./fr/start";
import { unanswered } from "./fr/unanswered";

export const fr: Texts = { auth, common, document, documents, errors, inbox, layout, playground, start, unanswered };
