//! The providers' response formats, as documented by the vendors.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use shared::embeddings::LocalEmbedder;

use super::FakeReply;

/// A provider's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProviderFormat {
    OpenAi,
    Gemini,
    Anthropic,
    OpenAiEmbeddings,
    GeminiEmbeddings,
}

impl ProviderFormat {
    pub(super) fn from_path(path: &str) -> Self {
        match path {
            path if path.contains("enerateContent") => Self::Gemini,
            path if path.ends_with(":batchEmbedContents") => Self::GeminiEmbeddings,
            path if path.ends_with("/v1/messages") => Self::Anthropic,
            path if path.ends_with("/embeddings") => Self::OpenAiEmbeddings,
            _ => Self::OpenAi,
        }
    }

    pub(super) fn is_embedding_format(self) -> bool {
        matches!(self, Self::OpenAiEmbeddings | Self::GeminiEmbeddings)
    }

    pub(super) fn is_gemini(self) -> bool {
        matches!(self, Self::Gemini | Self::GeminiEmbeddings)
    }

    /// The JPEG in the last message of a request.
    ///
    /// # Errors
    /// Fails when the image is not in the provider's format, or is not one JPEG.
    pub(super) fn image(self, request: &Value) -> Result<Option<Vec<u8>>, &'static str> {
        let (turns, parts) = if self == Self::Gemini { ("contents", "parts") } else { ("messages", "content") };
        let last = request[turns].as_array().and_then(|turns| turns.last()).unwrap_or(&Value::Null);
        let mut images = Vec::new();
        for part in last[parts].as_array().into_iter().flatten() {
            match self {
                _ if part["text"].is_string() => {}
                Self::Gemini if part["inlineData"]["mimeType"] == "image/jpeg" => {
                    images.push(part["inlineData"]["data"].as_str());
                }
                Self::Anthropic if part["type"] == "image" => {
                    let source = &part["source"];
                    let is_right = source["type"] == "base64" && source["media_type"] == "image/jpeg";
                    images.push(source["data"].as_str().filter(|_| is_right));
                }
                Self::OpenAi if part["type"] == "image_url" => {
                    let url = part["image_url"]["url"].as_str();
                    images.push(url.and_then(|url| url.strip_prefix("data:image/jpeg;base64,")));
                }
                _ => return Err("a part of another kind"),
            }
        }
        let Some(image) = images.pop() else { return Ok(None) };
        let image = image.and_then(|image| STANDARD.decode(image).ok()).ok_or("an image of another shape")?;
        let is_jpeg = image.starts_with(&[0xff, 0xd8, 0xff]) && image.ends_with(&[0xff, 0xd9]);
        if is_jpeg && images.is_empty() { Ok(Some(image)) } else { Err("not one JPEG") }
    }

    /// Embeddings whose similarity follows the texts: those of the local embedder, cut or padded to the requested
    /// dimensions.
    pub(super) fn vectors(self, request: &Value, dimensions: Option<usize>) -> Value {
        let vector = |text: &Value, asked_for: &Value| {
            let mut vector = LocalEmbedder.embed_query(text.as_str().unwrap_or_default());
            let asked_for = asked_for.as_u64().and_then(|length| usize::try_from(length).ok());
            vector.resize(dimensions.or(asked_for).unwrap_or(vector.len()), 0.5);
            vector
        };
        if self == Self::GeminiEmbeddings {
            let requests = request["requests"].as_array().into_iter().flatten();
            let embeddings = requests.map(|request| {
                json!({ "values": vector(&request["content"]["parts"][0]["text"], &request["outputDimensionality"]) })
            });
            return json!({ "embeddings": embeddings.collect::<Vec<_>>() });
        }
        let texts = request["input"].as_array().into_iter().flatten().enumerate();
        let data = texts.map(|(index, text)| {
            json!({ "object": "embedding", "index": index, "embedding": vector(text, &request["dimensions"]) })
        });
        // In reverse order, to test that the client uses the index.
        let mut data: Vec<_> = data.collect();
        data.reverse();
        json!({ "object": "list", "data": data, "model": request["model"], "usage": { "prompt_tokens": 8, "total_tokens": 8 } })
    }

    pub(super) fn reply(self, reply: &FakeReply, request: &Value) -> Value {
        match self {
            Self::Gemini => gemini(reply),
            Self::Anthropic => anthropic(reply, request),
            _ => openai(reply, request),
        }
    }

    pub(super) fn refusal(self, status: u16, retry_after_s: Option<u32>, is_per_day: bool) -> Value {
        match self {
            Self::Gemini | Self::GeminiEmbeddings => google(status, retry_after_s, is_per_day),
            Self::Anthropic => {
                let kind = match status {
                    401 => "authentication_error",
                    402 => "billing_error",
                    403 => "permission_error",
                    404 => "not_found_error",
                    413 => "request_too_large",
                    429 => "rate_limit_error",
                    529 => "overloaded_error",
                    400..500 => "invalid_request_error",
                    _ => "api_error",
                };
                json!({ "type": "error", "error": { "type": kind, "message": kind }, "request_id": "req_1" })
            }
            Self::OpenAi | Self::OpenAiEmbeddings => {
                let code = (status == 404).then_some("model_not_found");
                json!({ "error": { "message": "no", "type": "invalid_request_error", "param": null, "code": code } })
            }
        }
    }
}

fn openai(reply: &FakeReply, request: &Value) -> Value {
    // DeepSeek and Groq use different fields for the reasoning.
    let mut message = json!({ "role": "assistant", "content": null, "reasoning_content": "Considering [9]",
        "reasoning": "Considering [9]" });
    let ending = match reply {
        FakeReply::Blocked => "content_filter",
        FakeReply::Tool { name, arguments } => {
            let function = json!({ "name": name, "arguments": arguments });
            message["tool_calls"] = json!([{ "id": "call_1", "type": "function", "function": function }]);
            "tool_calls"
        }
        FakeReply::Truncated(text) => {
            message["content"] = json!(text);
            "length"
        }
        FakeReply::Text(text) => {
            message["content"] = json!(text);
            "stop"
        }
        _ => "stop",
    };
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_795_000_000, "model": request["model"],
        "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": ending }],
        "usage": { "prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150 },
    })
}

fn gemini(reply: &FakeReply) -> Value {
    let thought = json!({ "text": "**Considering**\nThe customer wants to know.", "thought": true });
    let (parts, ending) = match reply {
        FakeReply::Text(text) => (vec![thought, json!({ "text": text, "thoughtSignature": "c2lnbmF0dXJl" })], "STOP"),
        FakeReply::Truncated(text) => (vec![thought, json!({ "text": text })], "MAX_TOKENS"),
        FakeReply::Blocked => {
            return json!({
                "promptFeedback": { "blockReason": "PROHIBITED_CONTENT" },
                "usageMetadata": { "promptTokenCount": 120, "totalTokenCount": 120 },
                "modelVersion": "fake",
            });
        }
        FakeReply::Tool { name, arguments } => match serde_json::from_str::<Value>(arguments) {
            Ok(args) => {
                let call = json!({ "name": name, "args": args });
                (vec![json!({ "functionCall": call, "thoughtSignature": "c2lnbmF0dXJl" })], "STOP")
            }
            Err(_) => (vec![], "MALFORMED_FUNCTION_CALL"),
        },
        _ => (vec![thought], "STOP"),
    };
    json!({
        "candidates": [{ "content": { "role": "model", "parts": parts }, "finishReason": ending, "index": 0 }],
        "usageMetadata": { "promptTokenCount": 120, "candidatesTokenCount": 20, "thoughtsTokenCount": 10,
            "totalTokenCount": 150 },
        "modelVersion": "fake",
    })
}

fn anthropic(reply: &FakeReply, request: &Value) -> Value {
    let thought = json!({ "type": "thinking", "thinking": "Considering [9]", "signature": "c2lnbmF0dXJl" });
    let (content, ending) = match reply {
        FakeReply::Text(text) => (json!([thought, { "type": "text", "text": text }]), "end_turn"),
        FakeReply::Truncated(text) => (json!([thought, { "type": "text", "text": text }]), "max_tokens"),
        FakeReply::Blocked => (json!([]), "refusal"),
        FakeReply::Tool { name, arguments } => {
            let input = serde_json::from_str(arguments).unwrap_or_else(|_| json!(arguments));
            (json!([{ "type": "tool_use", "id": "toolu_1", "name": name, "input": input }]), "tool_use")
        }
        _ => (json!([thought]), "end_turn"),
    };
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": request["model"], "content": content,
        "stop_reason": ending, "stop_sequence": null,
        "usage": { "input_tokens": 100, "output_tokens": 30, "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 20 },
    })
}

fn google(status: u16, retry_after_s: Option<u32>, is_per_day: bool) -> Value {
    let mut details = Vec::new();
    if status == 429 {
        let period = if is_per_day { "PerDay" } else { "PerMinute" };
        let quota = format!("GenerateRequests{period}PerProjectPerModel-FreeTier");
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{ "quotaMetric": "generate_content_free_tier_requests", "quotaId": quota }],
        }));
    }
    if let Some(seconds) = retry_after_s {
        let delay = format!("{seconds}.074824224s");
        details.push(json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay }));
    }
    let name = match status {
        400 => "INVALID_ARGUMENT",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    };
    // Google sometimes wraps the error in a list.
    json!([{ "error": { "code": status, "message": "no", "status": name, "details": details } }])
}
