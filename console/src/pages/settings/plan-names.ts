import type { Format } from "@/lib/format";
import type { Texts } from "@/texts";

/** The name of a plan as a person reads it. */
export const planName = (name: string, { settings }: Pick<Texts, "settings">) => settings.plan.names[name] ?? name;

const BYTES_PER_MIB = 1_048_576;

/** Writes a size in the unit of the plans, whose megabytes are MiB: 50 MiB are "50 MB". */
export const planSize = (bytes: number, format: Format) => format.bytes((bytes / BYTES_PER_MIB) * 1_000_000);
export const planSizeOfMib = (mib: number, format: Format) => format.bytes(mib * 1_000_000);
