import { Check, Copy } from "lucide-react";
import { useEffect, useState } from "react";

import { showError } from "@/layout/toasts";
import { useTexts } from "@/texts";

import { Button } from "./button";

const SHOWN_MS = 2_000;

/** Copies a text, and says so for two seconds. `label` names what is copied. */
export function CopyButton({ text, label }: { text: string; label: string }) {
  const { common } = useTexts();
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    if (!isCopied) return undefined;
    const timer = setTimeout(() => setCopied(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [isCopied]);
  return (
    <Button
      variant="outline"
      size="sm"
      aria-label={`${common.copy}: ${label}`}
      onClick={() => {
        navigator.clipboard.writeText(text).then(() => setCopied(true), showError);
      }}
    >
      {isCopied ? <Check aria-hidden /> : <Copy aria-hidden />}
      <span aria-live="polite">{isCopied ? common.copied : common.copy}</span>
    </Button>
  );
}
