//! Token prices of models. Settings override the defaults, since prices change more often than this program. A model
//! without a price of its own costs the fallback price: a call is never free by mistake.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use serde::Deserialize;

use crate::settings::{SettingKind, Settings};

/// Prices by model name, with those of all other models.
#[derive(Debug, Clone, Default)]
pub(crate) struct ModelPrices {
    known: BTreeMap<String, TokenPrice>,
    /// Price of a language model that has none of its own.
    fallback: TokenPrice,
    /// Price of an embedding model that has none of its own.
    embedding_fallback: TokenPrice,
    /// Models without a price of their own that the log has named.
    reported: Arc<Mutex<BTreeSet<String>>>,
}

/// A model's prices, in millionths of a US dollar per million tokens.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenPrice {
    /// Price of input tokens.
    #[serde(rename = "in")]
    prompt: u32,
    /// Price of output tokens.
    #[serde(rename = "out")]
    completion: u32,
}

/// Input and output prices from the vendors' pages in November 2026; LLM_PRICES takes precedence. DeepSeek's prices
/// are those of its peak hours; DeepSeek charges half at other times. Gemini's price is valid until 2026-12-31 and then
/// doubles. No price was found for gemini-3.5-flash-lite and qwen/qwen3.6-27b: theirs are estimates on the safe side,
/// the price of the larger gemini-3.8-flash and that of openai/gpt-oss-120b four times.
const DEFAULT_PRICES: [(&str, u32, u32); 12] = [
    ("gemini-3.8-flash", 750_000, 3_750_000),
    ("gemini-3.5-flash-lite", 750_000, 3_750_000),
    ("claude-haiku-4-5", 1_000_000, 5_000_000),
    ("claude-sonnet-5", 2_000_000, 10_000_000),
    ("openai/gpt-oss-120b", 150_000, 600_000),
    ("qwen/qwen3.6-27b", 600_000, 2_400_000),
    ("deepseek-flash", 300_000, 1_200_000),
    ("deepseek-v4-pro", 1_320_000, 3_960_000),
    // Embedding models have no output tokens.
    ("gemini-embedding-001", 150_000, 0),
    ("gemini-embedding-2", 200_000, 0),
    ("text-embedding-3-small", 20_000, 0),
    ("text-embedding-3-large", 130_000, 0),
];

impl ModelPrices {
    /// Reads LLM_PRICES: `{"<model>": {"in": 150000, "out": 600000}}`, and the prices of models that it does not name:
    /// LLM_FALLBACK_PRICE_IN, LLM_FALLBACK_PRICE_OUT and EMBEDDING_FALLBACK_PRICE.
    pub(crate) fn read(settings: &mut Settings) -> Self {
        let configured: BTreeMap<String, TokenPrice> =
            match settings.optional_of(SettingKind::Json, "LLM_PRICES").map(|json| serde_json::from_str(&json)) {
                None => BTreeMap::new(),
                Some(Ok(prices)) => prices,
                Some(Err(_)) => {
                    settings
                        .problem("LLM_PRICES is not JSON of the form {\"<model>\": {\"in\": 150000, \"out\": 600000}}");
                    BTreeMap::new()
                }
            };
        let defaults = DEFAULT_PRICES
            .map(|(model, prompt, completion)| (model.to_owned(), TokenPrice { prompt, completion }))
            .into_iter();
        Self {
            known: defaults.chain(configured).collect(),
            fallback: TokenPrice {
                prompt: settings.number("LLM_FALLBACK_PRICE_IN", 2_000_000),
                completion: settings.number("LLM_FALLBACK_PRICE_OUT", 10_000_000),
            },
            embedding_fallback: TokenPrice {
                prompt: settings.number("EMBEDDING_FALLBACK_PRICE", 200_000),
                completion: 0,
            },
            reported: Arc::default(),
        }
    }

    /// True when the model has a price of its own; a free model has the price 0.
    pub(crate) fn has_price(&self, model: &str) -> bool {
        self.known.contains_key(model)
    }

    /// Cost of a call of a language model in millionths of a US dollar, rounded up.
    pub(crate) fn cost_micros(&self, model: &str, prompt_tokens: u32, completion_tokens: u32) -> i64 {
        let price = self.price_of(model, self.fallback);
        let prompt = u64::from(prompt_tokens) * u64::from(price.prompt);
        let completion = u64::from(completion_tokens) * u64::from(price.completion);
        i64::try_from(prompt.saturating_add(completion).div_ceil(1_000_000)).unwrap_or(i64::MAX)
    }

    /// Cost of a call of an embedding model in millionths of a US dollar, rounded up.
    pub(crate) fn embedding_cost_micros(&self, model: &str, tokens: u32) -> i64 {
        let price = self.price_of(model, self.embedding_fallback);
        i64::try_from((u64::from(tokens) * u64::from(price.prompt)).div_ceil(1_000_000)).unwrap_or(i64::MAX)
    }

    /// Price of a model. The log names a model without a price of its own once per process.
    fn price_of(&self, model: &str, fallback: TokenPrice) -> TokenPrice {
        if let Some(price) = self.known.get(model) {
            return *price;
        }
        if self.reported.lock().unwrap_or_else(PoisonError::into_inner).insert(model.to_owned()) {
            let (prompt, completion) = (fallback.prompt, fallback.completion);
            tracing::warn!(
                model,
                prompt,
                completion,
                "LLM_PRICES has no price of a model: its calls cost the fallback"
            );
        }
        fallback
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> ModelPrices {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut settings = Settings::new(pairs.collect());
        let prices = ModelPrices::read(&mut settings);
        settings.finish().unwrap();
        prices
    }

    fn prices(json: &str) -> ModelPrices {
        read(&[("LLM_PRICES", json)])
    }

    #[test]
    fn cost_is_the_price_of_all_tokens_rounded_up() {
        let prices = prices(r#"{"a-model": {"in": 150000, "out": 600000}}"#);
        assert_eq!(prices.cost_micros("a-model", 1_000_000, 1_000_000), 750_000);
        assert_eq!(prices.cost_micros("a-model", 1, 0), 1);
        assert_eq!(prices.cost_micros("a-model", 0, 0), 0);
        assert!(prices.cost_micros("a-model", u32::MAX, u32::MAX) > 0);
    }

    #[test]
    fn a_model_without_a_price_costs_the_fallback_price() {
        let prices = read(&[]);
        assert!(!prices.has_price("unheard-of"));
        assert_eq!(prices.cost_micros("unheard-of", 1_000_000, 1_000_000), 12_000_000);
        assert_eq!(prices.embedding_cost_micros("unheard-of", 1_000_000), 200_000);
        assert_eq!(prices.reported.lock().unwrap().len(), 1, "named once");
        let own =
            read(&[("LLM_FALLBACK_PRICE_IN", "1"), ("LLM_FALLBACK_PRICE_OUT", "2"), ("EMBEDDING_FALLBACK_PRICE", "0")]);
        assert_eq!(own.cost_micros("unheard-of", 1_000_000, 1_000_000), 3);
        assert_eq!(own.embedding_cost_micros("unheard-of", 1_000_000), 0);
    }

    #[test]
    fn default_models_have_prices() {
        let prices = read(&[]);
        for model in ["gemini-3.5-flash-lite", "qwen/qwen3.6-27b"] {
            assert!(prices.has_price(model) && prices.cost_micros(model, 1_000, 1_000) > 0, "{model}");
        }
        assert_eq!(prices.embedding_cost_micros("gemini-embedding-001", 1_000_000), 150_000);
    }

    #[test]
    fn llm_prices_overrides_the_defaults_and_is_validated() {
        assert_eq!(prices("{}").cost_micros("claude-haiku-4-5", 1_000_000, 0), 1_000_000);
        let own = prices(r#"{"claude-haiku-4-5": {"in": 7, "out": 7}}"#);
        assert_eq!(own.cost_micros("claude-haiku-4-5", 1_000_000, 0), 7);
        for wrong in ["[", "[]", r#"{"m": 1}"#, r#"{"m": {"in": 1}}"#, r#"{"m": {"in": -1, "out": 1}}"#] {
            let mut settings = Settings::new([("LLM_PRICES".to_owned(), wrong.to_owned())].into());
            ModelPrices::read(&mut settings);
            assert!(settings.finish().is_err(), "{wrong}");
        }
    }
}
