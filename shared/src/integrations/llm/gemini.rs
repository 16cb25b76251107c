//! The dialect of Google's Gemini API, `generateContent`, <https://ai.google.dev/api/generate-content>.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::types::{CompletionRequest, ModelOutput, Role, StreamAccumulator, ToolCall, Usage};
use crate::model_api::ProviderError;

/// The path of a request below the base URL.
pub(super) fn path(model: &str) -> String {
    format!("/models/{model}:generateContent")
}

/// The path of a request for a streamed reply below the base URL.
pub(super) fn stream_path(model: &str) -> String {
    format!("/models/{model}:streamGenerateContent?alt=sse")
}

/// The body of a request.
pub(super) fn body(prompt: &CompletionRequest<'_>) -> Value {
    let contents = prompt.turns.iter().map(|turn| {
        let role = match turn.role {
            Role::User => "user",
            Role::Assistant => "model",
        };
        json!({ "role": role, "parts": [{ "text": turn.text }] })
    });
    let mut contents: Vec<Value> = contents.collect();
    if let (Some(image), Some(last)) = (prompt.image, contents.last_mut()) {
        let image_part = json!({ "inlineData": { "mimeType": "image/jpeg", "data": image } });
        last["parts"] = json!([image_part, last["parts"][0]]);
    }
    let mut body = json!({
        "system_instruction": { "parts": [{ "text": prompt.system }] },
        "contents": contents,
        "generationConfig": { "maxOutputTokens": prompt.max_tokens },
    });
    if !prompt.tools.is_empty() {
        let tools = prompt.tools.iter().map(|tool| {
            let parameters = without_unsupported_keywords(&tool.parameters);
            json!({ "name": tool.name, "description": tool.description, "parameters": parameters })
        });
        body["tools"] = json!([{ "functionDeclarations": tools.collect::<Vec<_>>() }]);
    }
    body
}

/// Removes the JSON schema keywords that Gemini rejects with status 400. They only restrict arguments, and the
/// arguments of a tool call are checked again in this program.
fn without_unsupported_keywords(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| !matches!(name.as_str(), "additionalProperties" | "$schema"));
            let kept = kept.map(|(name, value)| (name.clone(), without_unsupported_keywords(value)));
            Value::Object(kept.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(without_unsupported_keywords).collect(),
        other => other.clone(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    /// Absent when the prompt was blocked.
    #[serde(default)]
    candidates: Vec<Candidate>,
    prompt_feedback: Option<Feedback>,
    usage_metadata: Option<Tokens>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback {
    block_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Option<Content>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    parts: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    text: Option<String>,
    function_call: Option<FunctionCall>,
    thought_signature: Option<String>,
    #[serde(default)]
    thought: bool,
}

#[derive(Deserialize)]
struct FunctionCall {
    name: String,
    /// Absent for a call without arguments.
    #[serde(default)]
    args: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    prompt_token_count: Option<u32>,
    candidates_token_count: Option<u32>,
    thoughts_token_count: Option<u32>,
}

/// Parses a complete reply. The tokens used are returned also when the reply is an error.
pub(super) fn parse_reply(reply: Value) -> (Result<ModelOutput, ProviderError>, Usage) {
    let Ok(reply) = serde_json::from_value::<Reply>(reply) else {
        return (Err(ProviderError::Malformed("it is not Gemini's")), Usage::default());
    };
    let usage = reply.usage_metadata.as_ref().map_or_else(Usage::default, usage);
    (to_output(reply), usage)
}

/// Converts the token counts; thinking tokens count as output.
fn usage(tokens: &Tokens) -> Usage {
    Usage {
        prompt_tokens: tokens.prompt_token_count.unwrap_or_default(),
        completion_tokens: tokens
            .candidates_token_count
            .unwrap_or_default()
            .saturating_add(tokens.thoughts_token_count.unwrap_or_default()),
    }
}

/// Applies one event of a streamed reply. Each event is a reply with the new part of the text and the usage so far.
pub(super) fn apply_event(event: Value, stream: &mut StreamAccumulator) -> Result<(), ProviderError> {
    let Ok(reply) = serde_json::from_value::<Reply>(event) else {
        return Err(ProviderError::Malformed("it is not Gemini's"));
    };
    if let Some(tokens) = &reply.usage_metadata {
        stream.usage = usage(tokens);
    }
    if reply.candidates.is_empty() && reply.prompt_feedback.is_none() {
        return Ok(());
    }
    let is_last = reply.candidates.first().is_some_and(|candidate| candidate.finish_reason.is_some());
    let output = to_output(reply)?;
    if !output.tool_calls.is_empty() {
        return Err(ProviderError::Malformed("it calls a tool that there is not"));
    }
    stream.push_text(&output.text);
    stream.is_truncated |= output.is_truncated;
    stream.is_complete |= is_last;
    Ok(())
}

/// Converts a complete reply, or one event of a streamed reply.
fn to_output(reply: Reply) -> Result<ModelOutput, ProviderError> {
    if let Some(reason) = reply.prompt_feedback.and_then(|feedback| feedback.block_reason) {
        return Err(ProviderError::blocked(&reason));
    }
    let candidate = reply.candidates.into_iter().next().ok_or(ProviderError::Empty)?;
    let finish_reason = candidate.finish_reason.unwrap_or_default();
    match finish_reason.as_str() {
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" => {
            return Err(ProviderError::blocked(&finish_reason));
        }
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" => {
            return Err(ProviderError::Malformed("its tool call does not parse"));
        }
        // Other reasons are unknown or harmless; the content is used.
        _ => {}
    }
    let is_truncated = finish_reason == "MAX_TOKENS";
    let mut output = ModelOutput { text: String::new(), tool_calls: Vec::new(), is_truncated };
    let parts = candidate.content.map(|content| content.parts).unwrap_or_default();
    for part in parts.into_iter().filter(|part| !part.thought) {
        output.text.push_str(part.text.as_deref().unwrap_or_default());
        if let Some(FunctionCall { name, args }) = part.function_call {
            let arguments = if args.is_null() { json!({}) } else { args };
            output.tool_calls.push(ToolCall { name, arguments, thought_signature: part.thought_signature });
        }
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::{Tool, Turn};

    #[test]
    fn a_request_has_the_form_that_gemini_documents() {
        let parameters = json!({
            "type": "object", "additionalProperties": false,
            "properties": { "items": { "type": "array", "items": { "type": "object", "additionalProperties": false } } },
        });
        let tools = [Tool { name: "create_order", description: "Creates it.", parameters }];
        let turns = [(Role::User, "Deux lampes"), (Role::Assistant, "Où ?"), (Role::User, "Abidjan")]
            .map(|(role, text)| Turn { role, text: text.to_owned() });
        let prompt =
            CompletionRequest { system: "You sell.", turns: &turns, image: None, tools: &tools, max_tokens: 500 };
        assert_eq!(
            body(&prompt),
            json!({
                "system_instruction": { "parts": [{ "text": "You sell." }] },
                "contents": [
                    { "role": "user", "parts": [{ "text": "Deux lampes" }] },
                    { "role": "model", "parts": [{ "text": "Où ?" }] },
                    { "role": "user", "parts": [{ "text": "Abidjan" }] },
                ],
                "generationConfig": { "maxOutputTokens": 500 },
                "tools": [{ "functionDeclarations": [{
                    "name": "create_order", "description": "Creates it.",
                    "parameters": {
                        "type": "object",
                        "properties": { "items": { "type": "array", "items": { "type": "object" } } },
                    },
                }] }],
            })
        );
    }

    #[test]
    fn an_image_precedes_the_text_of_the_last_turn() {
        let turns = [Turn { role: Role::User, text: "Write it down.".to_owned() }];
        let prompt =
            CompletionRequest { system: "You read.", turns: &turns, image: Some("/9j/"), tools: &[], max_tokens: 500 };
        assert_eq!(
            body(&prompt)["contents"],
            json!([{ "role": "user", "parts": [
                { "inlineData": { "mimeType": "image/jpeg", "data": "/9j/" } },
                { "text": "Write it down." },
            ] }])
        );
    }

    #[test]
    fn thinking_is_skipped_but_counted_and_signatures_are_kept() {
        let (output, usage) = parse_reply(json!({
            "candidates": [{ "index": 0, "finishReason": "STOP", "content": { "role": "model", "parts": [
                { "text": "The customer wants…", "thought": true },
                { "text": "C'est " }, { "text": "noté." },
                { "functionCall": { "name": "hand_over" }, "thoughtSignature": "c2ln" },
            ] } }],
            "usageMetadata": { "promptTokenCount": 10, "candidatesTokenCount": 4, "thoughtsTokenCount": 90,
                "totalTokenCount": 104 },
            "modelVersion": "gemini-3.8-flash",
        }));
        let output = output.unwrap();
        assert_eq!(output.text, "C'est noté.");
        assert_eq!(output.tool_calls[0].arguments, json!({}));
        assert_eq!(output.tool_calls[0].thought_signature.as_deref(), Some("c2ln"));
        assert_eq!(usage, Usage { prompt_tokens: 10, completion_tokens: 94 });
    }

    #[test]
    fn each_finish_reason_yields_its_result() {
        let reply_with = |reason: &str| {
            parse_reply(
                json!({ "candidates": [{ "finishReason": reason, "content": { "parts": [{ "text": "x" }] } }] }),
            )
            .0
        };
        for reason in ["SAFETY", "RECITATION", "PROHIBITED_CONTENT"] {
            assert!(matches!(reply_with(reason), Err(ProviderError::Blocked(why)) if why == reason));
        }
        assert!(reply_with("MAX_TOKENS").unwrap().is_truncated);
        assert!(!reply_with("A_NEW_REASON").unwrap().is_truncated);
        assert!(matches!(reply_with("MALFORMED_FUNCTION_CALL"), Err(ProviderError::Malformed(_))));
        let blocked =
            json!({ "promptFeedback": { "blockReason": "SAFETY" }, "usageMetadata": { "promptTokenCount": 7 } });
        let (output, usage) = parse_reply(blocked);
        assert!(matches!(output, Err(ProviderError::Blocked(_))));
        assert_eq!(usage.prompt_tokens, 7);
        assert!(matches!(parse_reply(json!({})).0, Err(ProviderError::Empty)));
        let silent = parse_reply(json!({ "candidates": [{ "finishReason": "STOP" }] })).0.unwrap();
        assert!(silent.text.is_empty() && silent.tool_calls.is_empty());
        assert!(matches!(parse_reply(json!({ "candidates": 1 })).0, Err(ProviderError::Malformed(_))));
    }
}
