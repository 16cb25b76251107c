//! OpenAI's chat completions, as Groq, DeepSeek, Ollama, vLLM and llama.cpp speak them too.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Role, ToolCall, Usage,
    chain::{Heard, Prompt, Said},
    transport::Failure,
};

/// The path below the base URL.
pub(super) const PATH: &str = "/chat/completions";

/// The body of a call. OpenAI's newer models want the limit under a name that other servers do not know.
pub(super) fn body(model: &str, prompt: &Prompt<'_>, limit: &str) -> Value {
    let system = json!({ "role": "system", "content": prompt.system });
    let turns = prompt.turns.iter().map(|turn| {
        let role = match turn.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        json!({ "role": role, "content": turn.text })
    });
    let mut messages: Vec<Value> = std::iter::once(system).chain(turns).collect();
    if let (Some(image), Some(last)) = (prompt.image, messages.last_mut()) {
        let shown = json!({ "type": "image_url", "image_url": { "url": format!("data:image/jpeg;base64,{image}") } });
        let text = json!({ "type": "text", "text": last["content"] });
        last["content"] = json!([shown, text]);
    }
    let mut body = json!({ "model": model, "messages": messages, limit: prompt.max_tokens });
    if !prompt.tools.is_empty() {
        let tools = prompt.tools.iter().map(|tool| {
            let function = json!({ "name": tool.name, "description": tool.description, "parameters": tool.parameters });
            json!({ "type": "function", "function": function })
        });
        body["tools"] = tools.collect();
    }
    body
}

/// The same, for a reply that is told while it comes, with its usage at the end.
pub(super) fn stream_body(model: &str, prompt: &Prompt<'_>, limit: &str) -> Value {
    let mut body = body(model, prompt, limit);
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    body
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<Function>>,
}

#[derive(Deserialize)]
struct Function {
    function: Named,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    /// JSON as a text; some servers send the object itself, or nothing.
    #[serde(default)]
    arguments: Value,
}

#[derive(Deserialize)]
struct Tokens {
    prompt_tokens: Option<u32>,
    completion_tokens: Option<u32>,
}

/// What a reply says, or why it says nothing; with what it took either way.
pub(super) fn read(reply: Value) -> (Result<Said, Failure>, Usage) {
    let Ok(reply) = serde_json::from_value::<Reply>(reply) else {
        return (Err(Failure::Malformed("it is not a chat completion")), Usage::default());
    };
    let usage = reply.usage.as_ref().map_or_else(Usage::default, usage);
    (said(reply.choices), usage)
}

fn usage(tokens: &Tokens) -> Usage {
    Usage {
        prompt_tokens: tokens.prompt_tokens.unwrap_or_default(),
        completion_tokens: tokens.completion_tokens.unwrap_or_default(),
    }
}

#[derive(Deserialize)]
struct Chunk {
    choices: Vec<Piece>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Piece {
    delta: Delta,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<Value>>,
}

/// Takes an event of a stream. The one with the usage has no choices, and comes after the end.
pub(super) fn hear(event: Value, heard: &mut Heard) -> Result<(), Failure> {
    let Ok(chunk) = serde_json::from_value::<Chunk>(event) else {
        return Err(Failure::Malformed("it is not a chunk of a chat completion"));
    };
    if let Some(tokens) = &chunk.usage {
        heard.usage = usage(tokens);
    }
    let Some(Piece { delta, finish_reason }) = chunk.choices.into_iter().next() else { return Ok(()) };
    if delta.refusal.is_some_and(|refusal| !refusal.is_empty()) {
        return Err(Failure::blocked("refusal"));
    }
    if delta.tool_calls.is_some_and(|calls| !calls.is_empty()) {
        return Err(Failure::Malformed("it calls a tool that there is not"));
    }
    heard.add(&delta.content.unwrap_or_default());
    if let Some(ending) = finish_reason {
        if ending == "content_filter" {
            return Err(Failure::blocked(&ending));
        }
        heard.is_cut |= ending == "length";
        heard.is_over = true;
    }
    Ok(())
}

fn said(choices: Vec<Choice>) -> Result<Said, Failure> {
    let choice = choices.into_iter().next().ok_or(Failure::Empty)?;
    let ending = choice.finish_reason.unwrap_or_default();
    if ending == "content_filter" {
        return Err(Failure::blocked(&ending));
    }
    let message = choice.message;
    if message.refusal.is_some_and(|refusal| !refusal.is_empty()) {
        return Err(Failure::blocked("refusal"));
    }
    let tool_calls = message.tool_calls.unwrap_or_default().into_iter().map(|call| {
        let Named { name, arguments } = call.function;
        let arguments = match arguments {
            Value::String(text) if text.trim().is_empty() => json!({}),
            Value::String(text) => {
                serde_json::from_str(&text).or(Err(Failure::Malformed("its tool arguments are not JSON")))?
            }
            Value::Null => json!({}),
            other => other,
        };
        Ok(ToolCall { name, arguments, thought_signature: None })
    });
    let tool_calls = tool_calls.collect::<Result<_, Failure>>()?;
    Ok(Said { text: message.content.unwrap_or_default(), tool_calls, is_cut: ending == "length" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::Turn;

    fn message(message: Value, ending: &str) -> Result<Said, Failure> {
        read(json!({ "choices": [{ "message": message, "finish_reason": ending }] })).0
    }

    #[test]
    fn an_image_stands_before_the_words_of_the_last_turn() {
        let turns = [Turn { role: Role::User, text: "Write it down.".to_owned() }];
        let prompt = Prompt { system: "You read.", turns: &turns, image: Some("/9j/"), tools: &[], max_tokens: 500 };
        assert_eq!(
            body("a-model", &prompt, "max_tokens"),
            json!({ "model": "a-model", "max_tokens": 500, "messages": [
                { "role": "system", "content": "You read." },
                { "role": "user", "content": [
                    { "type": "image_url", "image_url": { "url": "data:image/jpeg;base64,/9j/" } },
                    { "type": "text", "text": "Write it down." },
                ] },
            ] })
        );
    }

    #[test]
    fn text_calls_and_usage_are_read() {
        let (said, usage) = read(json!({
            "id": "chatcmpl-1", "object": "chat.completion", "model": "m-0613", "system_fingerprint": null,
            "choices": [{ "index": 0, "finish_reason": "tool_calls", "logprobs": null, "message": {
                "role": "assistant", "content": null, "reasoning": "hm",
                "tool_calls": [{ "id": "call_1", "type": "function",
                    "function": { "name": "create_order", "arguments": "{\"quantity\": 2}" } }],
            } }],
            "usage": { "prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16 },
        }));
        let said = said.unwrap();
        assert_eq!((said.text.as_str(), said.is_cut), ("", false));
        assert_eq!(said.tool_calls[0].name, "create_order");
        assert_eq!(said.tool_calls[0].arguments, json!({ "quantity": 2 }));
        assert_eq!(usage, Usage { prompt_tokens: 11, completion_tokens: 5 });
    }

    #[test]
    fn arguments_may_be_nothing_or_an_object_but_not_broken() {
        let call = |arguments: Value| {
            message(json!({ "tool_calls": [{ "function": { "name": "f", "arguments": arguments } }] }), "tool_calls")
        };
        for nothing in [json!(""), json!(null)] {
            assert_eq!(call(nothing).unwrap().tool_calls[0].arguments, json!({}));
        }
        assert_eq!(call(json!({ "a": 1 })).unwrap().tool_calls[0].arguments, json!({ "a": 1 }));
        assert!(matches!(call(json!("{\"quantity\": 2")), Err(Failure::Malformed(_))));
    }

    #[test]
    fn a_refusal_a_filter_a_cut_and_nonsense_are_told_apart() {
        assert!(matches!(message(json!({ "content": "x" }), "content_filter"), Err(Failure::Blocked(_))));
        assert!(matches!(message(json!({ "refusal": "I will not." }), "stop"), Err(Failure::Blocked(_))));
        assert!(message(json!({ "content": "x" }), "length").unwrap().is_cut);
        assert!(matches!(read(json!({ "choices": [] })).0, Err(Failure::Empty)));
        for nonsense in [json!({ "choices": "x" }), json!(42), json!({ "choices": [{}] }), json!(null)] {
            assert!(matches!(read(nonsense).0, Err(Failure::Malformed(_))));
        }
    }
}
