import { call, client, type Schemas } from "@/api/client";

type ContactExport = Schemas["ContactExport"];

/** Joins the answers of an export: the first one has all but the later messages. */
export function joinExports(parts: readonly ContactExport[]): Omit<ContactExport, "next"> | null {
  const [first] = parts;
  if (first === undefined) return null;
  const whole: Partial<ContactExport> & Omit<ContactExport, "next"> = { ...first };
  delete whole.next;
  return { ...whole, messages: parts.flatMap(({ messages }) => messages) };
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
