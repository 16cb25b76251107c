import type { BaseTexts, PageLoaders } from "./en";
import { common } from "./fr/common";
import { errors } from "./fr/errors";
import { layout } from "./fr/layout";
import { navigation } from "./fr/navigation";

export const base: BaseTexts = { common, errors, layout, navigation };

export const pages: PageLoaders = {
  activities: async () => (await import("./fr/activities")).activities,
  admin: async () => (await import("./fr/admin")).admin,
  auth: async () => (await import("./fr/auth")).auth,
  dashboard: async () => (await import("./fr/dashboard")).dashboard,
  document: async () => (await import("./fr/document")).document,
  documents: async () => (await import("./fr/documents")).documents,
  inbox: async () => (await import("./fr/inbox")).inbox,
  manychat: async () => (await import("./fr/manychat")).manychat,
  orders: async () => (await import("./fr/orders")).orders,
  playground: async () => (await import("./fr/playground")).playground,
  privacy: async () => (await import("./fr/privacy")).privacy,
  products: async () => (await import("./fr/products")).products,
  settings: async () => (await import("./fr/settings")).settings,
  start: async () => (await import("./fr/start")).start,
  unanswered: async () => (await import("./fr/unanswered")).unanswered,
  webhooks: async () => (await import("./fr/webhooks")).webhooks,
};
