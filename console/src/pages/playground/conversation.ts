/** The conversation of the playground: questions as a customer asks them, answers as they arrive. */
import type { ApprovedAnswer } from "@/answers/queries";
import { send, type Schemas } from "@/api/client";
import { ApiError } from "@/api/errors";
import { queryClient } from "@/api/queries";
import { readEvents } from "@/api/server-sent-events";
import { session } from "@/api/session";
import { createStore } from "@/lib/store";

export type Answer = Schemas["Answer"];
export type Citation = Schemas["Citation"];
type ErrorDetail = Schemas["ErrorDetail"];

export interface Turn {
  id: number;
  question: string;
  /** The text so far; the event `done` replaces it. */
  text: string;
  /** Passages that may support the answer, before it is whole. */
  found: readonly Citation[];
  answer: Answer | null;
  error: unknown;
  isStopped: boolean;
  /** The answer that an owner approved in place of this one. */
  approved: ApprovedAnswer | null;
  /** Milliseconds to the first word, and to the end. */
  firstWordMs: number | null;
  totalMs: number | null;
}

export const turns = createStore<readonly Turn[]>([]);

let lastId = 0;
let stop: AbortController | null = null;

export const isAnswering = (list: readonly Turn[]) => {
  const last = list.at(-1);
  return last !== undefined && last.totalMs === null;
};

export function startOver(): void {
  stopAnswer();
  turns.set([]);
}

export function stopAnswer(): void {
  stop?.abort();
  stop = null;
}

/** Notes the answer that an owner approved in place of a turn's. */
export function noteApproved(id: number, approved: ApprovedAnswer): void {
  change(id, { approved });
}

/** Asks a question in the conversation of the turns before. */
export async function ask(question: string): Promise<void> {
  lastId += 1;
  const id = lastId;
  const before = turns.get();
  const conversationId = before.findLast(({ answer }) => answer?.conversation_id != null)?.answer?.conversation_id ?? null;
  turns.set([
    ...before,
    { id, question, text: "", found: [], answer: null, error: null, isStopped: false, approved: null, firstWordMs: null, totalMs: null },
  ]);
  const controller = new AbortController();
  stop = controller;
  const begin = performance.now();
  try {
    await stream(id, { question, ...(conversationId && { conversation_id: conversationId }) }, controller.signal, begin);
  } catch (error) {
    if (controller.signal.aborted) change(id, { isStopped: true });
    else change(id, { error });
  }
  change(id, { totalMs: performance.now() - begin });
  if (stop === controller) stop = null;
  // The answer used a request of the quota, and may be a new unanswered question.
  void queryClient.invalidateQueries({ queryKey: ["context"] });
  void queryClient.invalidateQueries({ queryKey: ["unanswered"] });
}

async function stream(id: number, body: Schemas["QueryRequest"], signal: AbortSignal, begin: number): Promise<void> {
  const response = await send(
    new Request(`${window.location.origin}/api/v1/query/stream`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify(body),
      signal,
    }),
  );
  if (response.body === null) throw new ApiError(response.status, "unreadable", "the stream is empty");
  let hasEnded = false;
  for await (const { event, data } of readEvents(response.body)) {
    switch (event) {
      case "citations":
        change(id, { found: (JSON.parse(data) as Schemas["Citations"]).citations });
        break;
      case "delta": {
        const { text } = JSON.parse(data) as Schemas["Delta"];
        const turn = turns.get().find((each) => each.id === id);
        change(id, { text: (turn?.text ?? "") + text, firstWordMs: turn?.firstWordMs ?? performance.now() - begin });
        break;
      }
      case "done": {
        const answer = JSON.parse(data) as Answer;
        change(id, { answer, text: answer.answer });
        hasEnded = true;
        break;
      }
      case "error": {
        const parsed = JSON.parse(data) as ErrorDetail | { error: ErrorDetail };
        const detail = "error" in parsed ? parsed.error : parsed;
        throw new ApiError(response.status, detail.code, detail.message, { details: detail.details, requestId: detail.request_id });
      }
    }
  }
  if (!hasEnded) throw new ApiError(0, "offline", "the stream ended before the answer");
}

function change(id: number, part: Partial<Turn>): void {
  turns.set(turns.get().map((turn) => (turn.id === id ? { ...turn, ...part } : turn)));
}

let userBefore = userOfSession();
session.subscribe(() => {
  const user = userOfSession();
  if (user === userBefore) return;
  userBefore = user;
  startOver();
});

function userOfSession(): string {
  const state = session.get();
  return state.status === "signed-in" ? `${state.userId} ${state.companyId ?? ""}` : "";
}
