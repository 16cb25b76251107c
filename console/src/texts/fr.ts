import type { Texts } from "./en";
import { auth } from "./fr/auth";
import { common } from "./fr/common";
import { documents } from "./fr/documents";
import { errors } from "./fr/errors";
import { inbox } from "./fr/inbox";
import { layout } from "./fr/layout";
import { start } from "./fr/start";

export const fr: Texts = { auth, common, documents, errors, inbox, layout, start };
