import { useState } from "react";

/**
 * The one-time token of a link (`/invitation#token=…`). It is in the fragment, which reaches no server; it is taken out of the
 * address at once, so that neither the history nor a copied address holds it.
 */
export function useFragmentToken(): string | null {
  const [token] = useState(() => {
    const value = new URLSearchParams(window.location.hash.slice(1)).get("token");
    if (value !== null) window.history.replaceState(window.history.state, "", window.location.pathname + window.location.search);
    return value;
  });
  return token;
}
