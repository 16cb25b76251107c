/** Server-sent events of a fetched stream. EventSource sends neither a POST nor a token. */

export interface ServerSentEvent {
  event: string;
  data: string;
}

/** Reads the events of a stream as they arrive. A last event without its empty line was cut off, and is dropped. */
export async function* readEvents(stream: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const reader = stream.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      // A carriage return at the end may be the first half of a line's end.
      const text = rest + value;
      const isSplit = text.endsWith("\r");
      const blocks = (isSplit ? text.slice(0, -1) : text).replace(/\r\n?/g, "\n").split("\n\n");
      rest = (blocks.pop() ?? "") + (isSplit ? "\r" : "");
      for (const block of blocks) {
        const event = parseBlock(block);
        if (event !== null) yield event;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function parseBlock(block: string): ServerSentEvent | null {
  let event = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    // A line that begins with a colon is a comment, which keeps the connection open.
    if (colon === 0 || line === "") continue;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") event = value;
    if (name === "data") data.push(value);
  }
  return data.length === 0 ? null : { event, data: data.join("\n") };
}
