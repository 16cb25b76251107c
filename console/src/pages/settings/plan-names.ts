import type { Texts } from "@/texts";

/** The name of a plan as a person reads it. */
export const planName = (name: string, { settings }: Texts) => settings.plan.names[name] ?? name;
