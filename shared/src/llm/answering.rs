//! Answers from passages by a model: what it says is held against what it was given.

use rand::Rng;
use tokio::sync::mpsc;

use super::{
    Answered, Ask, Completion, LlmError, Usage,
    chain::{Models, Prompt, Said},
    citations, conversation, extractive,
    listening::Listener,
    prompt,
    transport::Next,
};

/// Thoughts count too, where a model has some.
const MAX_TOKENS: u32 = 3_000;

/// Asks the models, and tells what they say while they say it, where somebody listens.
pub(super) async fn answer(models: &Models, ask: &Ask<'_>, deltas: Option<mpsc::Sender<String>>) -> Answered {
    if ask.passages.is_empty() {
        // There is nothing to answer from: no model need say so.
        let model = models.first_model().to_owned();
        let nothing = Completion { answer: None, sources: Vec::new(), model, usage: Usage::default() };
        return Answered { outcome: Ok(nothing), calls: Vec::new() };
    }
    let boundary = boundary();
    let system = prompt::system(ask, &boundary);
    let turns = prompt::turns(ask, &boundary);
    let prompt = Prompt { system: &system, turns: &turns, image: None, tools: &[], max_tokens: MAX_TOKENS };
    let mut listener = deltas.map(|deltas| Listener::new(deltas, &boundary, ask.passages.len()));
    let asked = models.ask(&prompt, ask.deadline, listener.as_mut()).await;
    let outcome = match asked.said {
        Ok((mut said, model, usage)) => {
            // It gives nothing away, being used up, but is no word for a customer.
            said.text = said.text.replace(&boundary, "");
            Ok(checked(said, model, usage, ask))
        }
        Err(LlmError::Failed(failure)) if models.ends_extractive && failure.next() != Next::Stop => {
            Ok(extractive::answer(ask))
        }
        Err(error) => Err(error),
    };
    Answered { outcome, calls: asked.calls }
}

fn checked(said: Said, model: String, usage: Usage, ask: &Ask<'_>) -> Completion {
    let whole = citations::without_half_a_marker(&said.text);
    let text = if said.is_cut { conversation::whole_sentences(whole) } else { whole.to_owned() };
    let (answer, sources) = match citations::check(&text, ask) {
        Some((answer, sources)) => (Some(answer), sources),
        None => (None, Vec::new()),
    };
    Completion { answer, sources, model, usage }
}

/// A word that no document knows.
fn boundary() -> String {
    let mut bytes = [0_u8; 12];
    rand::rng().fill_bytes(&mut bytes);
    format!("§{}", hex::encode(bytes))
}
