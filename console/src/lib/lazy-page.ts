import { lazyRouteComponent } from "@tanstack/react-router";

import { loadTexts, type PageName } from "@/texts";

/** A route's component, loaded when it is opened, together with the texts that it shows. */
export function lazyPage<M extends object, K extends keyof M & string>(load: () => Promise<M>, name: K, ...texts: readonly PageName[]) {
  return lazyRouteComponent(async () => (await Promise.all([load(), loadTexts(...texts)]))[0], name);
}
