import { call, client, type Schemas } from "@/api/client";

type ContactExport = Schemas["ContactExport"];

/** Joins the answers of an export: each list goes on where the answer before has ended. */
export function joinExports(parts: readonly ContactExport[]): Omit<ContactExport, "next"> | null {
  const [first] = parts;
  if (first === undefined) return null;
  return {
    conversation: first.conversation,
    messages: parts.flatMap(({ messages }) => messages),
    orders: parts.flatMap(({ orders }) => orders),
    feedback: parts.flatMap(({ feedback }) => feedback),
    closed_questions: parts.flatMap(({ closed_questions }) => closed_questions),
    outbox: parts.flatMap(({ outbox }) => outbox),
    activities: parts.flatMap(({ activities }) => activities),
    model_calls: parts.flatMap(({ model_calls }) => model_calls),
  };
}

/** Fetches all that is stored about a contact, as the text of a JSON file. */
export async function fetchContact(conversation: string): Promise<string> {
  const parts: ContactExport[] = [];
  let after: string | null | undefined;
  do {
    const params = { path: { conversation_id: conversation }, query: after == null ? {} : { after } };
    const { data } = await call(client.GET("/api/v1/privacy/contacts/{conversation_id}/export", { params }));
    parts.push(data);
    after = data.next;
  } while (after != null);
  return `${JSON.stringify(joinExports(parts), null, 2)}\n`;
}
