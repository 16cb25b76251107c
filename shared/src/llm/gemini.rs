//! Google's Gemini: `generateContent`. https://ai.google.dev/api/generate-content

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Role, ToolCall, Usage,
    chain::{Heard, Prompt, Said},
    transport::Failure,
};

/// The path below the base URL.
pub(super) fn path(model: &str) -> String {
    format!("/models/{model}:generateContent")
}

/// The same, for a reply that is told while it comes.
pub(super) fn stream_path(model: &str) -> String {
    format!("/models/{model}:streamGenerateContent?alt=sse")
}

/// The body of a call.
pub(super) fn body(prompt: &Prompt<'_>) -> Value {
    let contents = prompt.turns.iter().map(|turn| {
        let role = match turn.role {
            Role::User => "user",
            Role::Assistant => "model",
        };
        json!({ "role": role, "parts": [{ "text": turn.text }] })
    });
    let mut contents: Vec<Value> = contents.collect();
    if let (Some(image), Some(last)) = (prompt.image, contents.last_mut()) {
        let shown = json!({ "inlineData": { "mimeType": "image/jpeg", "data": image } });
        last["parts"] = json!([shown, last["parts"][0]]);
    }
    let mut body = json!({
        "system_instruction": { "parts": [{ "text": prompt.system }] },
        "contents": contents,
        "generationConfig": { "maxOutputTokens": prompt.max_tokens },
    });
    if !prompt.tools.is_empty() {
        let tools = prompt.tools.iter().map(|tool| {
            let parameters = known_keywords(&tool.parameters);
            json!({ "name": tool.name, "description": tool.description, "parameters": parameters })
        });
        body["tools"] = json!([{ "functionDeclarations": tools.collect::<Vec<_>>() }]);
    }
    body
}

/// A schema without the keywords that Gemini answers with a 400; they only narrow what is checked again here.
fn known_keywords(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let known = members.iter().filter(|(name, _)| !matches!(name.as_str(), "additionalProperties" | "$schema"));
            Value::Object(known.map(|(name, value)| (name.clone(), known_keywords(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(known_keywords).collect(),
        other => other.clone(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    /// Missing when the prompt was blocked.
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
    /// Missing where there are none.
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

/// What a reply says, or why it says nothing; with what it took either way.
pub(super) fn read(reply: Value) -> (Result<Said, Failure>, Usage) {
    let Ok(reply) = serde_json::from_value::<Reply>(reply) else {
        return (Err(Failure::Malformed("it is not Gemini's")), Usage::default());
    };
    let usage = reply.usage_metadata.as_ref().map_or_else(Usage::default, usage);
    (said(reply), usage)
}

fn usage(tokens: &Tokens) -> Usage {
    Usage {
        prompt_tokens: tokens.prompt_token_count.unwrap_or_default(),
        completion_tokens: tokens
            .candidates_token_count
            .unwrap_or_default()
            .saturating_add(tokens.thoughts_token_count.unwrap_or_default()),
    }
}

/// Takes an event of a stream: a reply with what is new of the text, and with the usage so far.
pub(super) fn hear(event: Value, heard: &mut Heard) -> Result<(), Failure> {
    let Ok(reply) = serde_json::from_value::<Reply>(event) else {
        return Err(Failure::Malformed("it is not Gemini's"));
    };
    if let Some(tokens) = &reply.usage_metadata {
        heard.usage = usage(tokens);
    }
    if reply.candidates.is_empty() && reply.prompt_feedback.is_none() {
        return Ok(());
    }
    let ends = reply.candidates.first().is_some_and(|candidate| candidate.finish_reason.is_some());
    let said = said(reply)?;
    if !said.tool_calls.is_empty() {
        return Err(Failure::Malformed("it calls a tool that there is not"));
    }
    heard.add(&said.text);
    heard.is_cut |= said.is_cut;
    heard.is_over |= ends;
    Ok(())
}

fn said(reply: Reply) -> Result<Said, Failure> {
    if let Some(reason) = reply.prompt_feedback.and_then(|feedback| feedback.block_reason) {
        return Err(Failure::blocked(&reason));
    }
    let candidate = reply.candidates.into_iter().next().ok_or(Failure::Empty)?;
    let ending = candidate.finish_reason.unwrap_or_default();
    match ending.as_str() {
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" => {
            return Err(Failure::blocked(&ending));
        }
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" => {
            return Err(Failure::Malformed("its tool call does not parse"));
        }
        // Others are new or mean little: what was said counts.
        _ => {}
    }
    let mut said = Said { text: String::new(), tool_calls: Vec::new(), is_cut: ending == "MAX_TOKENS" };
    let parts = candidate.content.map(|content| content.parts).unwrap_or_default();
    for part in parts.into_iter().filter(|part| !part.thought) {
        said.text.push_str(part.text.as_deref().unwrap_or_default());
        if let Some(FunctionCall { name, args }) = part.function_call {
            let arguments = if args.is_null() { json!({}) } else { args };
            said.tool_calls.push(ToolCall { name, arguments, thought_signature: part.thought_signature });
        }
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::{Tool, Turn};

    #[test]
    fn a_call_has_the_shape_that_gemini_documents() {
        let parameters = json!({
            "type": "object", "additionalProperties": false,
            "properties": { "items": { "type": "array", "items": { "type": "object", "additionalProperties": false } } },
        });
        let tools = [Tool { name: "create_order", description: "Creates it.", parameters }];
        let turns = [(Role::User, "Deux lampes"), (Role::Assistant, "Où ?"), (Role::User, "Abidjan")]
            .map(|(role, text)| Turn { role, text: text.to_owned() });
        let prompt = Prompt { system: "You sell.", turns: &turns, image: None, tools: &tools, max_tokens: 500 };
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
    fn an_image_stands_before_the_words_of_the_last_turn() {
        let turns = [Turn { role: Role::User, text: "Write it down.".to_owned() }];
        let prompt = Prompt { system: "You read.", turns: &turns, image: Some("/9j/"), tools: &[], max_tokens: 500 };
        assert_eq!(
            body(&prompt)["contents"],
            json!([{ "role": "user", "parts": [
                { "inlineData": { "mimeType": "image/jpeg", "data": "/9j/" } },
                { "text": "Write it down." },
            ] }])
        );
    }

    #[test]
    fn thoughts_are_skipped_and_paid_and_signatures_kept() {
        let (said, usage) = read(json!({
            "candidates": [{ "index": 0, "finishReason": "STOP", "content": { "role": "model", "parts": [
                { "text": "The customer wants…", "thought": true },
                { "text": "C'est " }, { "text": "noté." },
                { "functionCall": { "name": "hand_over" }, "thoughtSignature": "c2ln" },
            ] } }],
            "usageMetadata": { "promptTokenCount": 10, "candidatesTokenCount": 4, "thoughtsTokenCount": 90,
                "totalTokenCount": 104 },
            "modelVersion": "gemini-3.8-flash",
        }));
        let said = said.unwrap();
        assert_eq!(said.text, "C'est noté.");
        assert_eq!(said.tool_calls[0].arguments, json!({}));
        assert_eq!(said.tool_calls[0].thought_signature.as_deref(), Some("c2ln"));
        assert_eq!(usage, Usage { prompt_tokens: 10, completion_tokens: 94 });
    }

    #[test]
    fn every_ending_is_told_apart() {
        let ending = |reason: &str| {
            read(json!({ "candidates": [{ "finishReason": reason, "content": { "parts": [{ "text": "x" }] } }] })).0
        };
        for reason in ["SAFETY", "RECITATION", "PROHIBITED_CONTENT"] {
            assert!(matches!(ending(reason), Err(Failure::Blocked(why)) if why == reason));
        }
        assert!(ending("MAX_TOKENS").unwrap().is_cut);
        assert!(!ending("A_NEW_REASON").unwrap().is_cut);
        assert!(matches!(ending("MALFORMED_FUNCTION_CALL"), Err(Failure::Malformed(_))));
        let blocked =
            json!({ "promptFeedback": { "blockReason": "SAFETY" }, "usageMetadata": { "promptTokenCount": 7 } });
        let (said, usage) = read(blocked);
        assert!(matches!(said, Err(Failure::Blocked(_))));
        assert_eq!(usage.prompt_tokens, 7);
        assert!(matches!(read(json!({})).0, Err(Failure::Empty)));
        let silent = read(json!({ "candidates": [{ "finishReason": "STOP" }] })).0.unwrap();
        assert!(silent.text.is_empty() && silent.tool_calls.is_empty());
        assert!(matches!(read(json!({ "candidates": 1 })).0, Err(Failure::Malformed(_))));
    }
}
