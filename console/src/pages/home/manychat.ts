/** Values to be copied into ManyChat. A test compares them with docs/MANYCHAT.md. */

export const SECRET_HEADER = "X-Webhook-Secret";

/** The body of the External Request: each text is escaped by `to_json`, and the id comes first. */
export const MANYCHAT_BODY = `{
  "id": {{user_id|to_json:true}},
  "last_interaction": {{last_interaction|fallback:""|to_json:true}},
  "whatsapp_phone": {{whatsapp_phone|fallback:""|to_json:true}},
  "name": {{full_name|fallback:""|to_json:true}},
  "locale": {{locale|fallback:""|to_json:true}},
  "last_input_text": {{last_input_text|fallback:""|to_json:true}}
}`;

/** The address to which ManyChat sends: the API is on the console's own origin. */
export const webhookUrl = (origin: string) => `${origin}/api/v1/webhook/manychat`;
