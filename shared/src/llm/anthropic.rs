//! Anthropic's messages. https://docs.claude.com/en/api/messages

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Role, ToolCall, Usage,
    chain::{Heard, Prompt, Said},
    transport::Failure,
};

/// The path below the base URL.
pub(super) const PATH: &str = "/v1/messages";
/// Of the API, in a header.
pub(super) const VERSION: &str = "2023-06-01";

/// The body of a call.
pub(super) fn body(model: &str, prompt: &Prompt<'_>) -> Value {
    let messages = prompt.turns.iter().map(|turn| {
        let role = match turn.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        json!({ "role": role, "content": turn.text })
    });
    let mut messages: Vec<Value> = messages.collect();
    if let (Some(image), Some(last)) = (prompt.image, messages.last_mut()) {
        let source = json!({ "type": "base64", "media_type": "image/jpeg", "data": image });
        let text = json!({ "type": "text", "text": last["content"] });
        last["content"] = json!([{ "type": "image", "source": source }, text]);
    }
    let mut body = json!({
        "model": model,
        "max_tokens": prompt.max_tokens,
        "system": [{ "type": "text", "text": prompt.system }],
        "messages": messages,
    });
    if !prompt.tools.is_empty() {
        let tools = prompt
            .tools
            .iter()
            .map(|tool| json!({ "name": tool.name, "description": tool.description, "input_schema": tool.parameters }));
        body["tools"] = tools.collect();
    }
    body
}

/// The same, for a reply that is told while it comes.
pub(super) fn stream_body(model: &str, prompt: &Prompt<'_>) -> Value {
    let mut body = body(model, prompt);
    body["stream"] = json!(true);
    body
}

#[derive(Deserialize)]
struct Reply {
    content: Vec<Block>,
    stop_reason: Option<String>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        text: String,
    },
    ToolUse {
        name: String,
        #[serde(default)]
        input: Value,
    },
    /// Thoughts, and whatever comes next.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Tokens {
    input_tokens: Option<u32>,
    output_tokens: Option<u32>,
    cache_creation_input_tokens: Option<u32>,
    cache_read_input_tokens: Option<u32>,
}

/// What a reply says, or why it says nothing; with what it took either way.
pub(super) fn read(reply: Value) -> (Result<Said, Failure>, Usage) {
    let Ok(reply) = serde_json::from_value::<Reply>(reply) else {
        return (Err(Failure::Malformed("it is not a message")), Usage::default());
    };
    let usage = reply.usage.as_ref().map_or_else(Usage::default, usage);
    (said(reply), usage)
}

fn usage(tokens: &Tokens) -> Usage {
    let read = [tokens.input_tokens, tokens.cache_creation_input_tokens, tokens.cache_read_input_tokens];
    Usage {
        prompt_tokens: read.into_iter().flatten().fold(0, u32::saturating_add),
        completion_tokens: tokens.output_tokens.unwrap_or_default(),
    }
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Started,
    },
    ContentBlockStart {
        content_block: Block,
    },
    ContentBlockDelta {
        delta: Delta,
    },
    MessageDelta {
        delta: Ending,
        usage: Option<Tokens>,
    },
    MessageStop,
    /// `ping`, `content_block_stop`, and whatever comes next.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Started {
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Ending {
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Delta {
    TextDelta {
        text: String,
    },
    /// Thoughts, signatures, and whatever comes next.
    #[serde(other)]
    Other,
}

/// Takes an event of a stream. What was read is counted at the beginning, what was written at the end.
pub(super) fn hear(event: Value, heard: &mut Heard) -> Result<(), Failure> {
    let Ok(event) = serde_json::from_value::<Event>(event) else {
        return Err(Failure::Malformed("it is not an event of a message"));
    };
    match event {
        Event::MessageStart { message } => {
            heard.usage = message.usage.as_ref().map_or_else(Usage::default, usage);
        }
        Event::ContentBlockStart { content_block: Block::ToolUse { .. } } => {
            return Err(Failure::Malformed("it calls a tool that there is not"));
        }
        Event::ContentBlockStart { content_block: Block::Text { text } }
        | Event::ContentBlockDelta { delta: Delta::TextDelta { text } } => heard.add(&text),
        Event::MessageDelta { delta, usage } => {
            if let Some(tokens) = usage.and_then(|tokens| tokens.output_tokens) {
                heard.usage.completion_tokens = tokens;
            }
            let ending = delta.stop_reason.unwrap_or_default();
            if ending == "refusal" {
                return Err(Failure::blocked(&ending));
            }
            heard.is_cut |= matches!(ending.as_str(), "max_tokens" | "model_context_window_exceeded");
        }
        Event::MessageStop => heard.is_over = true,
        Event::ContentBlockStart { .. } | Event::ContentBlockDelta { .. } | Event::Other => {}
    }
    Ok(())
}

fn said(reply: Reply) -> Result<Said, Failure> {
    let ending = reply.stop_reason.unwrap_or_default();
    if ending == "refusal" {
        return Err(Failure::blocked(&ending));
    }
    let is_cut = matches!(ending.as_str(), "max_tokens" | "model_context_window_exceeded");
    let mut said = Said { text: String::new(), tool_calls: Vec::new(), is_cut };
    for block in reply.content {
        match block {
            Block::Text { text } => said.text.push_str(&text),
            Block::ToolUse { name, input } => {
                let arguments = if input.is_null() { json!({}) } else { input };
                said.tool_calls.push(ToolCall { name, arguments, thought_signature: None });
            }
            Block::Other => {}
        }
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::{Tool, Turn};

    #[test]
    fn a_call_has_the_shape_that_anthropic_documents() {
        let tools = [Tool { name: "hand_over", description: "To a person.", parameters: json!({ "type": "object" }) }];
        let turns = [Turn { role: Role::User, text: "Bonjour".to_owned() }];
        let prompt = Prompt { system: "You sell.", turns: &turns, image: None, tools: &tools, max_tokens: 500 };
        assert_eq!(
            body("a-model", &prompt),
            json!({
                "model": "a-model", "max_tokens": 500,
                "system": [{ "type": "text", "text": "You sell." }],
                "messages": [{ "role": "user", "content": "Bonjour" }],
                "tools": [{ "name": "hand_over", "description": "To a person.", "input_schema": { "type": "object" } }],
            })
        );
    }

    #[test]
    fn an_image_stands_before_the_words_of_the_last_turn() {
        let turns = [Turn { role: Role::User, text: "Write it down.".to_owned() }];
        let prompt = Prompt { system: "You read.", turns: &turns, image: Some("/9j/"), tools: &[], max_tokens: 500 };
        assert_eq!(
            body("a-model", &prompt)["messages"],
            json!([{ "role": "user", "content": [
                { "type": "image", "source": { "type": "base64", "media_type": "image/jpeg", "data": "/9j/" } },
                { "type": "text", "text": "Write it down." },
            ] }])
        );
    }

    #[test]
    fn text_calls_and_all_tokens_are_read_and_other_blocks_skipped() {
        let (said, usage) = read(json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "stop_sequence": null,
            "content": [
                { "type": "thinking", "thinking": "hm", "signature": "x" },
                { "type": "text", "text": "C'est noté." },
                { "type": "tool_use", "id": "toolu_1", "name": "create_order", "input": { "quantity": 2 } },
            ],
            "stop_reason": "tool_use",
            "usage": { "input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 20,
                "cache_read_input_tokens": 30 },
        }));
        let said = said.unwrap();
        assert_eq!((said.text.as_str(), said.is_cut), ("C'est noté.", false));
        assert_eq!(said.tool_calls[0].arguments, json!({ "quantity": 2 }));
        assert_eq!(usage, Usage { prompt_tokens: 60, completion_tokens: 5 });
    }

    #[test]
    fn every_ending_is_told_apart() {
        let ending =
            |reason: &str| read(json!({ "content": [{ "type": "text", "text": "x" }], "stop_reason": reason })).0;
        assert!(matches!(ending("refusal"), Err(Failure::Blocked(_))));
        assert!(ending("max_tokens").unwrap().is_cut);
        assert!(!ending("pause_turn").unwrap().is_cut);
        assert!(read(json!({ "content": [] })).0.unwrap().text.is_empty());
        assert!(matches!(read(json!({ "type": "error" })).0, Err(Failure::Malformed(_))));
    }
}
