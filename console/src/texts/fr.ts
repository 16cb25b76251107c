import type { Texts } from "./en";
import { admin } from "./fr/admin";
import { auth } from "./fr/auth";
import { common } from "./fr/common";
import { documents } from "./fr/documents";
import { errors } from "./fr/errors";
import { layout } from "./fr/layout";
import { settings } from "./fr/settings";

export const fr: Texts = { admin, auth, common, documents, errors, layout, settings };
