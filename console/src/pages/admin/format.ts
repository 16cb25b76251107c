import { useMemo } from "react";

import { createFormat, type Format } from "@/lib/format";
import { useLanguage } from "@/texts";

/** Formats in the administrator's language and timezone: no one company's ones hold for all of them. */
export function useAdminFormat(): Format {
  const language = useLanguage();
  return useMemo(
    () => createFormat({ language, currency: "USD", timezone: Intl.DateTimeFormat().resolvedOptions().timeZone }),
    [language],
  );
}
