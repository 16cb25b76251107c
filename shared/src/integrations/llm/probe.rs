//! One small call to each configured model, which shows whether keys, names and balances are good. Only `cargo doctor` makes
//! them.

use std::time::Duration;

use futures::future::join_all;

use super::{
    fallback::{Endpoint, ModelChain},
    provider::Provider,
    types::{CompletionRequest, Role, Turn},
};
use crate::model_api::ProviderError;

/// Maximum length of the reply, in tokens: enough for one word.
const MAX_TOKENS: u32 = 16;

/// The result of a small call to one model.
#[derive(Debug)]
pub struct ProbeResult {
    /// Name of the provider.
    pub provider: &'static str,
    /// Name of the model.
    pub model: String,
    /// Cost of the call in millionths of a US dollar.
    pub cost_micros: i64,
    /// The reason why the model does not answer. An empty reply is an answer: a model that thinks may use all its tokens. A
    /// malformed one is not: it may be of a proxy that answers in the provider's place.
    pub outcome: Result<(), ProviderError>,
}

impl Provider {
    /// Makes one small call to each model of each provider, all at the same time, without retries. Empty without a model.
    pub async fn probe(&self, timeout: Duration) -> Vec<ProbeResult> {
        let Self::Models(chain) = self else { return Vec::new() };
        let models =
            chain.providers.iter().flat_map(|provider| provider.models.iter().map(move |model| (provider, model)));
        join_all(models.map(|(provider, model)| chain.probe(provider, model, timeout))).await
    }
}

impl ModelChain {
    async fn probe(&self, provider: &Endpoint, model: &str, timeout: Duration) -> ProbeResult {
        let turns = [Turn { role: Role::User, text: "Say yes.".to_owned() }];
        let prompt = CompletionRequest {
            system: "Answer with one word.",
            turns: &turns,
            image: None,
            tools: &[],
            max_tokens: MAX_TOKENS,
        };
        let mut calls = Vec::new();
        let outcome = match self.call(provider, model, &prompt, timeout, None, &mut calls).await {
            Ok(_) | Err(ProviderError::Empty | ProviderError::Blocked(_)) => Ok(()),
            Err(error) => Err(error),
        };
        ProbeResult {
            provider: provider.name,
            model: model.to_owned(),
            cost_micros: calls.iter().map(|call| call.cost_micros).sum(),
            outcome,
        }
    }
}
