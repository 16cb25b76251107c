/** A run of pages that follow each other. */
export interface PageRange {
  from: number;
  to: number;
}

/** Joins ascending page numbers to ranges: 2, 3, 4, 9 are 2–4 and 9. */
export function pageRanges(pages: readonly number[]): PageRange[] {
  const ranges: PageRange[] = [];
  for (const page of pages) {
    const last = ranges.at(-1);
    if (last !== undefined && page === last.to + 1) last.to = page;
    else ranges.push({ from: page, to: page });
  }
  return ranges;
}

export const rangeText = ({ from, to }: PageRange) => (from === to ? String(from) : `${from}–${to}`);
