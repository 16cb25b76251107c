/** The text without the markers of its citations, as a customer reads it. */
export function withoutMarkers(text: string, numbers: readonly number[]): string {
  return text.replace(/ ?\[(\d{1,2})\]/g, (marker, number) => (numbers.includes(Number(number)) ? "" : marker));
}

/** Splits an answer's text at its markers: `a [1].` becomes `a `, 1 and `.`. */
export function splitMarkers(text: string): (string | number)[] {
  const parts: (string | number)[] = [];
  let end = 0;
  for (const match of text.matchAll(/\[(\d{1,2})\]/g)) {
    if (match.index > end) parts.push(text.slice(end, match.index));
    parts.push(Number(match[1]));
    end = match.index + match[0].length;
  }
  if (end < text.length) parts.push(text.slice(end));
  return parts;
}
