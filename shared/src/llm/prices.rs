//! What models cost: a setting, since prices change more often than this program.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Usage;
use crate::settings::Settings;

/// Prices by model, in millionths of a US dollar a million tokens.
#[derive(Debug, Clone, Default)]
pub(super) struct Prices(BTreeMap<String, Price>);

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Price {
    /// Of what is read.
    #[serde(rename = "in")]
    prompt: u32,
    /// Of what is written.
    #[serde(rename = "out")]
    completion: u32,
}

/// What the vendors' pages said in November 2026; whatever LLM_PRICES has goes before it. DeepSeek's are those of its
/// peak hours, half of which it asks at other times; Gemini's holds until 2026-12-31 and then doubles. Models that are
/// not here had no price that could be found.
const DEFAULTS: [(&str, u32, u32); 6] = [
    ("gemini-3.8-flash", 750_000, 3_750_000),
    ("claude-haiku-4-5", 1_000_000, 5_000_000),
    ("claude-sonnet-5", 2_000_000, 10_000_000),
    ("openai/gpt-oss-120b", 150_000, 600_000),
    ("deepseek-flash", 300_000, 1_200_000),
    ("deepseek-v4-pro", 1_320_000, 3_960_000),
];

impl Prices {
    /// Reads LLM_PRICES: `{"<model>": {"in": 150000, "out": 600000}}`.
    pub(super) fn read(settings: &mut Settings) -> Self {
        let own: BTreeMap<String, Price> = match settings.optional("LLM_PRICES").map(|json| serde_json::from_str(&json))
        {
            None => BTreeMap::new(),
            Some(Ok(prices)) => prices,
            Some(Err(_)) => {
                settings.problem("LLM_PRICES is not JSON of the form {\"<model>\": {\"in\": 150000, \"out\": 600000}}");
                BTreeMap::new()
            }
        };
        let defaults =
            DEFAULTS.map(|(model, prompt, completion)| (model.to_owned(), Price { prompt, completion })).into_iter();
        Self(defaults.chain(own).collect())
    }

    /// Whether a model's price is known; one that is free has the price 0.
    pub(super) fn has(&self, model: &str) -> bool {
        self.0.contains_key(model)
    }

    /// What a call costs, in millionths of a US dollar, rounded up; nothing where the model has no price.
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

    fn prices(json: &str) -> Prices {
        let mut settings = Settings::new([("LLM_PRICES".to_owned(), json.to_owned())].into());
        let prices = Prices::read(&mut settings);
        settings.finish().unwrap();
        prices
    }

    #[test]
    fn a_call_costs_what_its_tokens_cost_rounded_up() {
        let prices = prices(r#"{"a-model": {"in": 150000, "out": 600000}}"#);
        let usage = |prompt_tokens, completion_tokens| Usage { prompt_tokens, completion_tokens };
        assert_eq!(prices.cost_micros("a-model", usage(1_000_000, 1_000_000)), 750_000);
        assert_eq!(prices.cost_micros("a-model", usage(1, 0)), 1);
        assert_eq!(prices.cost_micros("a-model", usage(0, 0)), 0);
        assert_eq!(prices.cost_micros("another", usage(10, 10)), 0);
        assert!(prices.cost_micros("a-model", usage(u32::MAX, u32::MAX)) > 0);
    }

    #[test]
    fn the_setting_goes_before_the_defaults_and_must_be_right() {
        let usage = Usage { prompt_tokens: 1_000_000, completion_tokens: 0 };
        assert_eq!(prices("{}").cost_micros("claude-haiku-4-5", usage), 1_000_000);
        let own = prices(r#"{"claude-haiku-4-5": {"in": 7, "out": 7}}"#);
        assert_eq!(own.cost_micros("claude-haiku-4-5", usage), 7);
        for wrong in ["[", "[]", r#"{"m": 1}"#, r#"{"m": {"in": 1}}"#, r#"{"m": {"in": -1, "out": 1}}"#] {
            let mut settings = Settings::new([("LLM_PRICES".to_owned(), wrong.to_owned())].into());
            Prices::read(&mut settings);
            assert!(settings.finish().is_err(), "{wrong}");
        }
    }
}
