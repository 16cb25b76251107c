//! One chat call, with tools.

use super::{
    ChatReply, ChatRequest, ChatResult, LlmError, Role, Turn,
    fallback::{CompletionRequest, ModelChain},
    transport::ProviderError,
};

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

/// Converts turns to the form that every provider accepts: the first is the user's, roles alternate, none is empty.
/// Consecutive turns of one role are joined.
pub(super) fn alternate_roles(turns: &[Turn]) -> Vec<Turn> {
    let mut merged: Vec<Turn> = Vec::new();
    for turn in turns {
        let text = turn.text.trim();
        match merged.last_mut() {
            _ if text.is_empty() => {}
            None if turn.role == Role::Assistant => {}
            Some(last) if last.role == turn.role => {
                last.text.push('\n');
                last.text.push_str(text);
            }
            _ => merged.push(Turn { role: turn.role, text: text.to_owned() }),
        }
    }
    merged
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
    fn turns_start_with_the_user_and_alternate() {
        let turn = |role, text: &str| Turn { role, text: text.to_owned() };
        let turns = alternate_roles(&[
            turn(Role::Assistant, "Bonjour !"),
            turn(Role::User, "Bonsoir"),
            turn(Role::User, " Combien ? "),
            turn(Role::Assistant, " "),
            turn(Role::User, "La livraison"),
            turn(Role::Assistant, "1 500 F"),
        ]);
        assert_eq!(turns, [turn(Role::User, "Bonsoir\nCombien ?\nLa livraison"), turn(Role::Assistant, "1 500 F")]);
    }

    #[test]
    fn an_incomplete_text_is_truncated_to_its_last_whole_sentence() {
        assert_eq!(truncate_to_sentence("Trois jours. Ensuite nous"), "Trois jours.");
        assert_eq!(truncate_to_sentence("- un\n- deux\n- tr"), "- un\n- deux");
        assert_eq!(truncate_to_sentence("Ensuite nous"), "Ensuite nous…");
        assert_eq!(truncate_to_sentence("Ça coûte 1,5 €… ou"), "Ça coûte 1,5 €…");
    }
}
