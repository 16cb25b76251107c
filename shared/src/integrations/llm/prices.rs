//! Token prices of models. A setting overrides the defaults, since prices change more often than this program.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::types::Usage;
use crate::settings::{SettingKind, Settings};

/// Prices by model name.
#[derive(Debug, Clone, Default)]
pub(super) struct ModelPrices(BTreeMap<String, TokenPrice>);

/// A model's prices, in millionths of a US dollar per million tokens.
#[derive(Debug, Clone, Copy, Deserialize)]
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
/// doubles. A model that is missing here counts as free, also against a spend cap: no price was found for the default
/// models gemini-3.5-flash-lite and qwen/qwen3.6-27b.
const DEFAULT_PRICES: [(&str, u32, u32); 6] = [
    ("gemini-3.8-flash", 750_000, 3_750_000),
    ("claude-haiku-4-5", 1_000_000, 5_000_000),
    ("claude-sonnet-5", 2_000_000, 10_000_000),
    ("openai/gpt-oss-120b", 150_000, 600_000),
    ("deepseek-flash", 300_000, 1_200_000),
    ("deepseek-v4-pro", 1_320_000, 3_960_000),
];

impl ModelPrices {
    /// Reads LLM_PRICES: `{"<model>": {"in": 150000, "out": 600000}}`.
    pub(super) fn read(settings: &mut Settings) -> Self {
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
        Self(defaults.chain(configured).collect())
    }

    /// True when the model's price is known; a free model has the price 0.
    pub(super) fn has_price(&self, model: &str) -> bool {
        self.0.contains_key(model)
    }

    /// Cost of a call in millionths of a US dollar, rounded up; 0 when the model's price is unknown.
    pub(super) fn cost_micros(&self, model: &str, usage: Usage) -> i64 {
        let Some(price) = self.0.get(model) else { return 0 };
        let prompt = u64::from(usage.prompt_tokens) * u64::from(price.prompt);
        let completion = u64::from(usage.completion_tokens) * u64::from(price.completion);
        i64::try_from(prompt.saturating_add(completion).div_ceil(1_000_000)).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices(json: &str) -> ModelPrices {
        let mut settings = Settings::new([("LLM_PRICES".to_owned(), json.to_owned())].into());
        let prices = ModelPrices::read(&mut settings);
        settings.finish().unwrap();
        prices
    }

    #[test]
    fn cost_is_the_price_of_all_tokens_rounded_up() {
        let prices = prices(r#"{"a-model": {"in": 150000, "out": 600000}}"#);
        let usage = |prompt_tokens, completion_tokens| Usage { prompt_tokens, completion_tokens };
        assert_eq!(prices.cost_micros("a-model", usage(1_000_000, 1_000_000)), 750_000);
        assert_eq!(prices.cost_micros("a-model", usage(1, 0)), 1);
        assert_eq!(prices.cost_micros("a-model", usage(0, 0)), 0);
        assert_eq!(prices.cost_micros("another", usage(10, 10)), 0);
        assert!(prices.cost_micros("a-model", usage(u32::MAX, u32::MAX)) > 0);
    }

    #[test]
    fn llm_prices_overrides_the_defaults_and_is_validated() {
        let usage = Usage { prompt_tokens: 1_000_000, completion_tokens: 0 };
        assert_eq!(prices("{}").cost_micros("claude-haiku-4-5", usage), 1_000_000);
        let own = prices(r#"{"claude-haiku-4-5": {"in": 7, "out": 7}}"#);
        assert_eq!(own.cost_micros("claude-haiku-4-5", usage), 7);
        for wrong in ["[", "[]", r#"{"m": 1}"#, r#"{"m": {"in": 1}}"#, r#"{"m": {"in": -1, "out": 1}}"#] {
            let mut settings = Settings::new([("LLM_PRICES".to_owned(), wrong.to_owned())].into());
            ModelPrices::read(&mut settings);
            assert!(settings.finish().is_err(), "{wrong}");
        }
    }
}
