/** The marks of WhatsApp for bold, italic, struck and monospaced text, as a tree. Nothing else of a text is markup. */

export type Style = "bold" | "italic" | "strike" | "code";
export type Part = string | { style: Style; parts: readonly Part[] };

const STYLES: Readonly<Record<string, Style>> = { "*": "bold", _: "italic", "~": "strike", "`": "code" };
const FENCE = "```";
const isLetter = (char: string | undefined) => char !== undefined && /[\p{L}\p{N}]/u.test(char);
const isSpace = (char: string | undefined) => char === undefined || /\s/.test(char);

/** Reads a message. A mark counts as on WhatsApp: at the edge of a word, on one line, with another one that closes it. */
export function readParts(text: string): Part[] {
  const parts: Part[] = [];
  let from = 0;
  for (let start = text.indexOf(FENCE); start !== -1; start = text.indexOf(FENCE, from)) {
    const end = text.indexOf(FENCE, start + FENCE.length + 1);
    if (end === -1) break;
    parts.push(...readLines(text.slice(from, start)), { style: "code", parts: [text.slice(start + FENCE.length, end)] });
    from = end + FENCE.length;
  }
  return joined([...parts, ...readLines(text.slice(from))]);
}

/** The text without its marks, for a line of a list. */
export function plainText(text: string): string {
  const plain = (part: Part): string => (typeof part === "string" ? part : part.parts.map(plain).join(""));
  return readParts(text).map(plain).join("");
}

/** Length at which the API cuts the last message of a conversation, in characters. */
const PREVIEW_CHARS = 200;
/** A mark at the edge of a word in the last line, without another one that closes it. */
const OPEN_MARK = /(?<![\p{L}\p{N}])(?:```|[*_~`])(?=\S[^\n]*$)/gu;

/** One line about a message of which the API returns the beginning: without marks, and without the line of its sources. */
export function previewOf(text: string): string {
  const isCut = Array.from(text).length >= PREVIEW_CHARS;
  const plain = plainText(withoutSources(text));
  // What the cut took off would have closed these marks.
  return isCut ? plain.replace(OPEN_MARK, "").trimEnd() : plain;
}

/** Leaves out the last paragraph where it lists sources (`_Source: guide, p. 1_`), also where only its beginning is there. */
function withoutSources(text: string): string {
  const at = text.lastIndexOf("\n\n_");
  if (at === -1) return text;
  const last = text.slice(at + 3);
  return /^Source\s?:[^\n]*$/.test(last) || "Source".startsWith(last) ? text.slice(0, at) : text;
}

function readLines(text: string): Part[] {
  return text.split("\n").flatMap((line, at) => [...(at === 0 ? [] : ["\n"]), ...readLine(line, "")]);
}

/** Reads a line, or what is between two marks of it. `open` are the marks that it is between. */
function readLine(line: string, open: string): Part[] {
  const parts: Part[] = [];
  /** Marks that nothing closes in the rest of the line: to look again would make a long line of marks slow. */
  let unclosed = open;
  let from = 0;
  for (let at = 0; at < line.length; at += 1) {
    const mark = line.charAt(at);
    const style = STYLES[mark];
    if (style === undefined || unclosed.includes(mark) || isLetter(line[at - 1]) || isSpace(line[at + 1]) || line[at + 1] === mark) continue;
    const end = closingOf(line, mark, at + 2);
    if (end === -1) {
      unclosed += mark;
      continue;
    }
    const inner = line.slice(at + 1, end);
    parts.push(line.slice(from, at), { style, parts: style === "code" ? [inner] : readLine(inner, open + mark) });
    from = end + 1;
    at = end;
  }
  return [...parts, line.slice(from)];
}

/** The place of the mark that closes one, at `from` or later; -1 when there is none. */
function closingOf(line: string, mark: string, from: number): number {
  for (let end = line.indexOf(mark, from); end !== -1; end = line.indexOf(mark, end + 1)) {
    if (!isSpace(line[end - 1]) && !isLetter(line[end + 1])) return end;
  }
  return -1;
}

/** The parts without empty texts, with neighbouring texts in one. */
function joined(parts: readonly Part[]): Part[] {
  const result: Part[] = [];
  for (const part of parts) {
    const last = result.at(-1);
    if (typeof part !== "string") result.push({ ...part, parts: joined(part.parts) });
    else if (typeof last === "string") result[result.length - 1] = last + part;
    else if (part !== "") result.push(part);
  }
  return result;
}
