//! One call in a conversation, with tools.

use super::{
    Chat, ChatReply, Chatted, LlmError, Role, Turn,
    chain::{Models, Prompt},
    transport::Failure,
};

/// Asks the models; the first usable reply is the one.
pub(super) async fn reply(models: &Models, chat: &Chat<'_>) -> Chatted {
    let turns = alternating(chat.turns);
    if turns.is_empty() {
        return Chatted { outcome: Err(LlmError::Failed(Failure::Malformed("nothing was said"))), calls: Vec::new() };
    }
    let prompt =
        Prompt { system: chat.system, turns: &turns, image: None, tools: chat.tools, max_tokens: chat.max_tokens };
    let asked = models.ask(&prompt, chat.deadline, None).await;
    let outcome = asked.said.map(|(said, ..)| {
        let text = if said.is_cut { whole_sentences(&said.text) } else { said.text };
        ChatReply { text: (!text.is_empty()).then_some(text), tool_calls: said.tool_calls }
    });
    Chatted { outcome, calls: asked.calls }
}

/// The turns as every provider takes them: beginning with the user, in alternation, none of them empty.
pub(super) fn alternating(turns: &[Turn]) -> Vec<Turn> {
    let mut taken: Vec<Turn> = Vec::new();
    for turn in turns {
        let text = turn.text.trim();
        match taken.last_mut() {
            _ if text.is_empty() => {}
            None if turn.role == Role::Assistant => {}
            Some(last) if last.role == turn.role => {
                last.text.push('\n');
                last.text.push_str(text);
            }
            _ => taken.push(Turn { role: turn.role, text: text.to_owned() }),
        }
    }
    taken
}

/// A text that broke off, as far as its last whole sentence; with an ellipsis where it has none.
pub(super) fn whole_sentences(text: &str) -> String {
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
    fn turns_begin_with_the_user_and_alternate() {
        let turn = |role, text: &str| Turn { role, text: text.to_owned() };
        let turns = alternating(&[
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
    fn a_text_that_broke_off_ends_with_a_sentence() {
        assert_eq!(whole_sentences("Trois jours. Ensuite nous"), "Trois jours.");
        assert_eq!(whole_sentences("- un\n- deux\n- tr"), "- un\n- deux");
        assert_eq!(whole_sentences("Ensuite nous"), "Ensuite nous…");
        assert_eq!(whole_sentences("Ça coûte 1,5 €… ou"), "Ça coûte 1,5 €…");
    }
}
