//! The models: one small call to each language model, and one to the embedding model.

use std::path::Path;

use shared::{
    embeddings::{EmbedError, Embedder},
    llm::{ProbeResult, Provider, ProviderError},
    logging,
};

use super::{Target, report::Outcome};

/// Calls each model of LLM_PROVIDER and LLM_FALLBACKS once.
pub(super) async fn check_language_models(target: &Target) -> Vec<Outcome> {
    let mut settings = target.reader();
    let provider = Provider::read(&mut settings);
    if settings.finish().is_err() {
        return vec![Outcome::skipped("the settings of the language models cannot be used: see the settings")];
    }
    if !provider.has_model() {
        return vec![Outcome::skipped("no model is set: answers quote the documents")];
    }
    let results = provider.probe(target.timeout.mul_f32(0.9)).await;
    // One model that answers is enough for answers; the others are its fallbacks.
    let answers = results.iter().any(|result| result.outcome.is_ok());
    results.iter().map(|result| judge(result, answers)).collect()
}

fn judge(result: &ProbeResult, others_answer: bool) -> Outcome {
    let ProbeResult { provider, model, cost_micros, outcome } = result;
    let Err(error) = outcome else {
        return Outcome::Ok(format!(
            "{model} of {provider} answers (this call cost {cost_micros} millionths of a dollar)"
        ));
    };
    let key = format!("{}_API_KEY", provider.to_uppercase());
    let advice = match error {
        ProviderError::Unauthorized => format!("Put a valid key of {provider} into {key}, in the secrets."),
        ProviderError::BalanceExhausted => format!("Top up the balance at {provider}."),
        ProviderError::NoSuchModel => {
            format!("Models are retired every few months: name present ones in {}_MODELS.", provider.to_uppercase())
        }
        ProviderError::QuotaExhausted | ProviderError::RateLimited { .. } => {
            format!("Raise the limit at {provider}, or add a fallback to LLM_FALLBACKS.")
        }
        ProviderError::TimedOut | ProviderError::Unreachable(_) | ProviderError::ServerError { .. } => {
            format!(
                "Is there a way to {provider}, and is {}_BASE_URL right? Its status page shows disturbances.",
                provider.to_uppercase()
            )
        }
        ProviderError::Malformed(_) => format!(
            "Is {}_BASE_URL the address of {provider}'s API? A proxy or a page may answer in its place.",
            provider.to_uppercase()
        ),
        _ => format!("The documentation of {provider} explains the code."),
    };
    let what = format!("{model} of {provider} does not answer: {}", logging::chain(error));
    if others_answer { Outcome::warning(what, advice) } else { Outcome::error(what, advice) }
}

/// Embeds one word.
pub(super) async fn check_embeddings(target: &Target) -> Vec<Outcome> {
    let mut settings = target.reader();
    let embedder = Embedder::read(&mut settings);
    if settings.finish().is_err() {
        return vec![Outcome::skipped("the settings of the embedding model cannot be used: see the settings")];
    }
    let is_e5 = matches!(embedder, Embedder::E5(_));
    if is_e5 && !target.get("E5_MODEL_FILE").is_some_and(|file| Path::new(file).is_file()) && !target.is_local() {
        return vec![Outcome::skipped("the model e5 is in a layer of the functions, not on this machine")];
    }
    let mut calls = Vec::new();
    let embedded = embedder.embed_query("delivery", &mut calls).await;
    let cost: i64 = calls.iter().map(|call| call.cost_micros).sum();
    vec![match embedded {
        Ok(_) => Outcome::Ok(format!("{} embeds (this call cost {cost} millionths of a dollar)", embedder.model())),
        Err(error) => Outcome::error(
            format!("{} does not embed: {}", embedder.model(), logging::chain(&error)),
            embedding_advice(&error),
        ),
    }]
}

fn embedding_advice(error: &EmbedError) -> &'static str {
    match error {
        EmbedError::Model(_) => "Fetch the model again by scripts/fetch-e5.sh; locally, start `cargo dev` again.",
        EmbedError::Failed(ProviderError::Unauthorized) => {
            "Put a valid key of the provider into GEMINI_API_KEY or OPENAI_API_KEY, in the first and the second secret."
        }
        EmbedError::InvalidResponse(_) => "EMBEDDING_DIMENSIONS is not what the model returns.",
        _ => {
            "Are EMBEDDING_MODEL and the base URL right? Until it embeds, documents fail and questions are searched by words."
        }
    }
}
