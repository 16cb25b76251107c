//! One chat call, with tools.

use super::{
    fallback::ModelChain,
    prompt::alternate_roles,
    types::{ChatReply, ChatRequest, ChatResult, CompletionRequest, LlmError},
};
use crate::model_api::ProviderError;

/// Calls the models in order and returns the first usable reply. A truncated text ends at its last whole sentence.
pub(super) async fn reply(models: &ModelChain, chat: &ChatRequest<'_>) -> ChatResult {
    let turns = alternate_roles(chat.turns);
    if turns.is_empty() {
        return ChatResult {
            outcome: Err(LlmError::Failed(ProviderError::Malformed("nothing was said"))),
            calls: Vec::new(),
        };
    }
    let prompt = CompletionRequest {
        system: chat.system,
        turns: &turns,
        image: None,
        tools: chat.tools,
        max_tokens: chat.max_tokens,
    };
    let result = models.complete(&prompt, chat.deadline, None).await;
    let outcome = result.output.map(|(output, ..)| {
        let text = if output.is_truncated { truncate_to_sentence(&output.text) } else { output.text };
        ChatReply { text: (!text.is_empty()).then_some(text), tool_calls: output.tool_calls }
    });
    ChatResult { outcome, calls: result.calls }
}

/// Truncates an incomplete text to its last whole sentence; without one, appends an ellipsis instead.
pub(super) fn truncate_to_sentence(text: &str) -> String {
    let end = text.char_indices().rfind(|(_, char)| matches!(char, '.' | '!' | '?' | '…' | '\n'));
    let end = end.map(|(at, char)| at + char.len_utf8());
    match end.map(|end| text[..end].trim_end()) {
        Some(whole) if !whole.is_empty() => whole.to_owned(),
        _ => format!("{}…", text.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_text_is_truncated_to_its_last_whole_sentence() {
        assert_eq!(truncate_to_sentence("Trois jours. Ensuite nous"), "Trois jours.");
        assert_eq!(truncate_to_sentence("- un\n- deux\n- tr"), "- un\n- deux");
        assert_eq!(truncate_to_sentence("Ensuite nous"), "Ensuite nous…");
        assert_eq!(truncate_to_sentence("Ça coûte 1,5 €… ou"), "Ça coûte 1,5 €…");
    }
}
