import { readStored, writeStored } from "@/lib/storage";

const nameOf = (company: string) => `lisa.start-hidden ${company}`;

/** True when the owner does not want the first hour as the home page in this browser. */
export function isStartHidden(company: string): boolean {
  return readStored(nameOf(company)) !== null;
}

export function hideStart(company: string): void {
  writeStored(nameOf(company), "1");
}
