//! Answers without a model to questions whose words the documents do not use: by the similarity of sentences.

use tokio::sync::mpsc;

use crate::{
    embeddings::Embedder,
    llm::{self, AnswerResult, GroundedQuestion, Provider},
    logging,
};

/// Passages to retrieve for an answer without a model, which reads them all at no cost.
pub const PASSAGES_WITHOUT_MODEL: u8 = 10;

/// Answers a question from its passages. When no model is configured and the words of no passage answer, the sentence
/// that the embedded model finds most similar to the question answers, if it is similar enough. With `deltas`, a
/// model's text is sent as it is written.
pub async fn answer(
    provider: &Provider,
    embedder: &Embedder,
    question: &GroundedQuestion<'_>,
    deltas: Option<mpsc::Sender<String>>,
) -> AnswerResult {
    let mut result = match deltas {
        Some(deltas) => provider.stream(question, deltas).await,
        None => provider.answer(question).await,
    };
    let is_refused = result.outcome.as_ref().is_ok_and(|completion| completion.answer.is_none());
    if provider.has_model() || !is_refused {
        return result;
    }
    let candidates = llm::quote_candidates(question);
    let texts: Vec<_> = candidates.iter().map(|candidate| candidate.text.clone()).collect();
    match embedder.similarities(question.standalone, &texts).await {
        Ok(Some(similarities)) => {
            result.outcome = Ok(llm::answer_by_similarity(question, &candidates, &similarities));
        }
        Ok(None) => {}
        // The refusal stands: the words answer nothing.
        Err(error) => tracing::warn!(error = logging::chain(&error), "sentences were not compared by meaning"),
    }
    result
}
