//! Answers from passages by a model. The citations in the model's text are checked against the passages.

use rand::Rng;
use tokio::sync::mpsc;

use super::{
    chat, citations, extractive,
    fallback::ModelChain,
    prompt,
    streaming::DeltaSink,
    types::{AnswerResult, CompletionRequest, GroundedAnswer, GroundedQuestion, LlmError, ModelOutput, Usage},
};
use crate::model_api::RetryDecision;

/// Maximum length of a model's output, in tokens; thinking tokens count too.
const MAX_TOKENS: u32 = 3_000;

/// Calls the models in order until one answers, and sends its text to `deltas`, if given, while the model writes it.
/// Without passages returns no answer and makes no call.
pub(super) async fn answer(
    models: &ModelChain,
    question: &GroundedQuestion<'_>,
    deltas: Option<mpsc::Sender<String>>,
) -> AnswerResult {
    if question.passages.is_empty() {
        let model = models.first_model().to_owned();
        let no_answer = GroundedAnswer { answer: None, sources: Vec::new(), model, usage: Usage::default() };
        return AnswerResult { outcome: Ok(no_answer), calls: Vec::new() };
    }
    let nonce = delimiter_nonce();
    let system = prompt::system(question, &nonce);
    let turns = prompt::turns(question, &nonce);
    let prompt = CompletionRequest { system: &system, turns: &turns, image: None, tools: &[], max_tokens: MAX_TOKENS };
    let mut sink = deltas.map(|deltas| DeltaSink::new(deltas, &nonce, question.passages.len()));
    let result = models.complete(&prompt, question.deadline, sink.as_mut()).await;
    let outcome = match result.output {
        // A text with the nonce was copied from the instructions, and is no answer.
        Ok((output, model, usage)) if output.text.contains(&nonce) => {
            Ok(GroundedAnswer { answer: None, sources: Vec::new(), model, usage })
        }
        Ok((output, model, usage)) => Ok(to_answer(output, model, usage, question)),
        Err(LlmError::Failed(failure))
            if models.falls_back_to_extractive && failure.retry_decision() != RetryDecision::Stop =>
        {
            Ok(extractive::answer(question))
        }
        Err(error) => Err(error),
    };
    AnswerResult { outcome, calls: result.calls }
}

/// Builds the answer from a model's output: removes an incomplete tail and checks the citations.
fn to_answer(output: ModelOutput, model: String, usage: Usage, question: &GroundedQuestion<'_>) -> GroundedAnswer {
    let complete = citations::strip_incomplete_marker(&output.text);
    let text = if output.is_truncated { chat::truncate_to_sentence(complete) } else { complete.to_owned() };
    let (answer, sources) = match citations::verify(&text, question) {
        Some((answer, sources)) => (Some(answer), sources),
        None => (None, Vec::new()),
    };
    GroundedAnswer { answer, sources, model, usage }
}

/// A random word that delimits the passages in a prompt; no document can contain it.
fn delimiter_nonce() -> String {
    let mut bytes = [0_u8; 12];
    rand::rng().fill_bytes(&mut bytes);
    format!("§{}", hex::encode(bytes))
}
