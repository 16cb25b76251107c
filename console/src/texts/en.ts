/**
 * Every English text that a person reads. `fr.ts` has the same shape: a missing text does not compile. A page's texts are
 * loaded with the page.
 */
import { common } from "./en/common";
import { errors } from "./en/errors";
import { layout } from "./en/layout";
import { navigation } from "./en/navigation";

/** Texts of the frame and of the shared parts, loaded before the first render. */
export const base = { common, errors, layout, navigation };

export const pages = {
  activities: async () => (await import("./en/activities")).activities,
  admin: async () => (await import("./en/admin")).admin,
  auth: async () => (await import("./en/auth")).auth,
  dashboard: async () => (await import("./en/dashboard")).dashboard,
  document: async () => (await import("./en/document")).document,
  documents: async () => (await import("./en/documents")).documents,
  inbox: async () => (await import("./en/inbox")).inbox,
  manychat: async () => (await import("./en/manychat")).manychat,
  orders: async () => (await import("./en/orders")).orders,
  playground: async () => (await import("./en/playground")).playground,
  privacy: async () => (await import("./en/privacy")).privacy,
  products: async () => (await import("./en/products")).products,
  settings: async () => (await import("./en/settings")).settings,
  start: async () => (await import("./en/start")).start,
  unanswered: async () => (await import("./en/unanswered")).unanswered,
  webhooks: async () => (await import("./en/webhooks")).webhooks,
};

/** The texts that are always there. */
export type BaseTexts = typeof base;
/** The loaders of the pages' texts. */
export type PageLoaders = typeof pages;
/** A page's part of the texts, which is loaded with it. */
export type PageName = keyof PageLoaders;
/** The shape of the texts: each is a text, or a function that makes one. */
export type Texts = BaseTexts & { [N in PageName]: Awaited<ReturnType<PageLoaders[N]>> };
