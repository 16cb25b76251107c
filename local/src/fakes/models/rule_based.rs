//! A rule-based reply instead of a model's, for `cargo dev --fake-models`: makes streaming, fallbacks and tools
//! visible without an API key. It quotes the sentence that shares most words with the question.

use std::time::Duration;

use serde_json::{Value, json};
use shared::text::fold;

use super::{FakeReply, stream::StreamStep};

/// The delay between two words.
const WORD_DELAY: Duration = Duration::from_millis(60);
/// Words are compared by this number of first letters.
const STEM_CHARS: usize = 5;
/// Shorter words are ignored: they rarely carry meaning.
const MIN_WORD_CHARS: usize = 4;
/// Word parts that trigger a handover to a person.
const COMPLAINT_STEMS: [&str; 6] = ["plainte", "reclamation", "inadmissible", "complain", "unacceptable", "refund"];

/// The reply to a request in any provider's format.
pub(super) fn reply(request: &Value) -> FakeReply {
    let (system, said) = (system(request), last_turn(request));
    let has_tools = request["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    if has_tools { sales_reply(&system, &said) } else { answer(&said) }
}

/// The system prompt of a request in any provider's format, as a reply.
pub(super) fn instructions(request: &Value) -> FakeReply {
    FakeReply::Text(system(request))
}

/// The steps that stream a text word by word.
pub(super) fn steps(text: &str) -> Vec<StreamStep> {
    text.split_inclusive(' ')
        .flat_map(|word| [StreamStep::Send(word.to_owned()), StreamStep::Pause(WORD_DELAY)])
        .collect()
}

fn system(request: &Value) -> String {
    let first = &request["messages"][0];
    match first["role"].as_str() {
        Some("system") => texts(&first["content"]),
        _ => texts(&request["system"]) + &texts(&request["system_instruction"]["parts"]),
    }
}

fn last_turn(request: &Value) -> String {
    let last = |turns: &Value, content: &str| {
        turns.as_array().and_then(|turns| turns.last()).map_or_else(String::new, |turn| texts(&turn[content]))
    };
    last(&request["messages"], "content") + &last(&request["contents"], "parts")
}

/// The text of a message: a string, or the joined texts of its parts.
fn texts(content: &Value) -> String {
    let parts = content.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
    content.as_str().map_or_else(|| parts.collect::<Vec<_>>().join("\n"), str::to_owned)
}

/// The stems of a text's words, without short words.
fn stems(text: &str) -> Vec<String> {
    let folded = fold(text);
    let words =
        folded.split(|char: char| !char.is_alphanumeric()).filter(|word| word.chars().count() >= MIN_WORD_CHARS);
    words.map(|word| word.chars().take(STEM_CHARS).collect()).collect()
}

/// Quotes a sentence from the prompt's passages, or answers that none matches.
fn answer(said: &str) -> FakeReply {
    let (passages, question) = said.rsplit_once("The question: ").unwrap_or(("", said));
    let query_stems = stems(question);
    let (mut number, mut best) = (0, (0, 0, ""));
    for line in passages.lines() {
        if let Some((_, place)) = line.rsplit_once(" passage ") {
            number = place.parse().unwrap_or(number);
            continue;
        }
        for sentence in line.split_inclusive(['.', '!', '?']) {
            let sentence_stems = stems(sentence);
            let shared = query_stems.iter().filter(|stem| sentence_stems.contains(stem)).count();
            if shared > best.0 {
                best = (shared, number, sentence.trim());
            }
        }
    }
    FakeReply::Text(match best {
        (0, ..) => "NOT_IN_DOCUMENTS".to_owned(),
        (_, number, sentence) => format!("{sentence} [{number}]"),
    })
}

/// Orders a named product, hands complaints over, and lists the catalogue otherwise.
fn sales_reply(system: &str, said: &str) -> FakeReply {
    let query_stems = stems(said);
    let folded = fold(said);
    if COMPLAINT_STEMS.iter().any(|word| folded.contains(word)) {
        return tool("hand_over", &json!({ "reason": "the customer complains" }));
    }
    let catalogue = system.split_once("# Catalogue").map_or("", |(_, after)| after);
    let catalogue = catalogue.split_once("</").map_or(catalogue, |(catalogue, _)| catalogue);
    let products = catalogue.lines().filter_map(|line| line.strip_prefix("- ")?.split_once(": "));
    let products: Vec<_> = products.collect();
    let wanted = products.iter().find(|(name, _)| stems(name).iter().any(|stem| query_stems.contains(stem)));
    if let Some((name, _)) = wanted {
        let quantity = folded.split(|char: char| !char.is_ascii_digit()).find_map(|number| number.parse::<u32>().ok());
        let items = json!([{ "product": name, "quantity": quantity.unwrap_or(1).max(1) }]);
        return tool("create_order", &json!({ "items": items }));
    }
    let offered: Vec<_> = products.iter().map(|(name, price)| format!("{name} ({price})")).collect();
    let is_english = system.contains("Answer in English");
    FakeReply::Text(match (offered.is_empty(), is_english) {
        (true, true) => "Nothing is in our catalogue yet.".to_owned(),
        (true, false) => "Notre catalogue est encore vide.".to_owned(),
        (false, true) => format!("We have {}. What would you like?", offered.join(", ")),
        (false, false) => format!("Nous avons {}. Que souhaitez-vous ?", offered.join(", ")),
    })
}

fn tool(name: &str, arguments: &Value) -> FakeReply {
    FakeReply::Tool { name: name.to_owned(), arguments: arguments.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_matching_sentence_is_quoted_with_its_passage() {
        let prompt = "§1 passage 1\n(file: a.pdf, page 1)\nWe are open. Returns are free.\n§1 end\n\n\
            §1 passage 2\n(file: b.pdf, page 1)\nDelivery takes three days.\n§1 end\n\nThe question: ";
        let said = |question: &str| match answer(&format!("{prompt}{question}")) {
            FakeReply::Text(text) => text,
            reply => panic!("{reply:?}"),
        };
        assert_eq!(said("How long does a delivery take?"), "Delivery takes three days. [2]");
        assert_eq!(said("Is a return free?"), "Returns are free. [1]");
        assert_eq!(said("Quel âge avez-vous ?"), "NOT_IN_DOCUMENTS");
    }

    #[test]
    fn named_product_is_ordered_and_complaint_is_handed_over() {
        let system =
            "Answer in French\n# Catalogue <1>\n- Lampe solaire: 15 000 XOF\n- Panier de fruits: 4 000 XOF\n</1>\n";
        let called = |said: &str| match sales_reply(system, said) {
            FakeReply::Tool { name, arguments } => format!("{name} {arguments}"),
            FakeReply::Text(text) => text,
            reply => panic!("{reply:?}"),
        };
        assert_eq!(
            called("Je voudrais 2 lampes"),
            r#"create_order {"items":[{"product":"Lampe solaire","quantity":2}]}"#
        );
        assert_eq!(called("C'est INADMISSIBLE !"), r#"hand_over {"reason":"the customer complains"}"#);
        assert_eq!(
            called("Bonjour"),
            "Nous avons Lampe solaire (15 000 XOF), Panier de fruits (4 000 XOF). Que souhaitez-vous ?"
        );
    }

    #[test]
    fn every_providers_request_is_read() {
        for request in [
            json!({ "messages": [{ "role": "system", "content": "S" }, { "role": "user", "content": "U" }] }),
            json!({ "system": [{ "type": "text", "text": "S" }], "messages": [{ "role": "user", "content": "U" }] }),
            json!({ "system_instruction": { "parts": [{ "text": "S" }] },
                "contents": [{ "role": "user", "parts": [{ "text": "U" }] }] }),
        ] {
            assert_eq!((system(&request).as_str(), last_turn(&request).as_str()), ("S", "U"), "{request}");
        }
    }
}
