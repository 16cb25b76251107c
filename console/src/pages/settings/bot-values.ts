import type { Config, ConfigPatch } from "./queries";

/** Values of the form of the assistant. */
export interface BotValues {
  ai_name: string;
  show_sources: boolean;
  unsupported_messages: string;
  /** One keyword a line. */
  handover_keywords: string;
  handover_minutes: number;
}

export function valuesOfConfig(config: Config): BotValues {
  return {
    ai_name: config.ai_name,
    show_sources: config.show_sources,
    unsupported_messages: config.unsupported_messages,
    handover_keywords: config.handover_keywords.join("\n"),
    handover_minutes: config.handover_minutes,
  };
}

/** Returns the keywords of a text, one a line: without empty lines and repetitions. */
export function keywordsOf(text: string): string[] {
  return [...new Set(text.split("\n").map((line) => line.trim()).filter((line) => line !== ""))];
}

export function patchOf({ handover_keywords, unsupported_messages, ...others }: Partial<BotValues>): ConfigPatch {
  return {
    ...others,
    ...(handover_keywords !== undefined && { handover_keywords: keywordsOf(handover_keywords) }),
    ...(unsupported_messages !== undefined && { unsupported_messages: unsupported_messages === "hand_over" ? "hand_over" : "reply" }),
  };
}
