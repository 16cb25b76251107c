import { expect, it } from "vitest";

import { readEvents } from "./server-sent-events";

async function read(parts: (string | Uint8Array)[]) {
  const encoder = new TextEncoder();
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const part of parts) controller.enqueue(typeof part === "string" ? encoder.encode(part) : part);
      controller.close();
    },
  });
  const events = [];
  for await (const event of readEvents(stream)) events.push([event.event, event.data]);
  return events;
}

it("reads events with their names and data", async () => {
  expect(await read(['event: delta\ndata: {"text":"a"}\n\nevent: done\ndata: {}\n\n'])).toEqual([
    ["delta", '{"text":"a"}'],
    ["done", "{}"],
  ]);
});

it("joins events, lines and characters that arrive in parts", async () => {
  const bytes = new TextEncoder().encode("data: été\n\n");
  expect(await read(["event: de", "lta\r", "\ndata: x\r\n\r", "\n", bytes.slice(0, 7), bytes.slice(7)])).toEqual([
    ["delta", "x"],
    ["message", "été"],
  ]);
});

it("joins several lines of data, and skips comments", async () => {
  expect(await read([": keep-alive\n\n", "data: a\ndata:b\n\n"])).toEqual([["message", "a\nb"]]);
});

it("drops an event that was cut off", async () => {
  expect(await read(["data: whole\n\n", "data: half"])).toEqual([["message", "whole"]]);
});
