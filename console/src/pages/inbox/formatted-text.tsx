import type { ReactNode } from "react";

import { type Part, readParts, type Style } from "./whatsapp-text";

const TAGS = { bold: "strong", italic: "em", strike: "s", code: "code" } as const satisfies Record<Style, string>;

/** A message with WhatsApp's marks shown as what they mean. Made of elements and texts: nothing in a message becomes HTML. */
export function FormattedText({ text }: { text: string }) {
  return <>{readParts(text).map(render)}</>;
}

function render(part: Part, at: number): ReactNode {
  if (typeof part === "string") return part;
  const Tag = TAGS[part.style];
  return <Tag key={at}>{part.parts.map(render)}</Tag>;
}
