/** The body of the External Request, of docs/MANYCHAT.md. The filter writes the quotes itself and escapes what is between them. */
export const REQUEST_BODY = `{
  "id": {{user_id|to_json:true}},
  "last_interaction": {{last_interaction|fallback:""|to_json:true}},
  "whatsapp_phone": {{whatsapp_phone|fallback:""|to_json:true}},
  "name": {{full_name|fallback:""|to_json:true}},
  "locale": {{locale|fallback:""|to_json:true}},
  "last_input_text": {{last_input_text|fallback:""|to_json:true}}
}`;

export const SECRET_HEADER = "X-Webhook-Secret";
export const CONTENT_TYPE = "application/json";

/** The address that ManyChat calls. */
export const webhookUrl = () => `${window.location.origin}/api/v1/webhook/manychat`;
