import { CopyButton } from "./copy-button";

/** A text of code with the button that copies it. Several lines keep their breaks. */
export function CopyLine({ label, text }: { label: string; text: string }) {
  return (
    <div className="flex w-full min-w-0 items-start gap-2 rounded-md border bg-muted px-3 py-2">
      <code translate="no" className="min-w-0 flex-1 self-center text-xs whitespace-pre-wrap [overflow-wrap:anywhere]">
        {text}
      </code>
      <CopyButton text={text} label={label} />
    </div>
  );
}
