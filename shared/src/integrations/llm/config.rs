//! Configuration of the providers and their models: reads the settings and builds the chain of models.

use std::sync::Arc;

use http::HeaderValue;

use super::{
    circuit_breaker::CircuitBreaker,
    fallback::{ApiDialect, Endpoint, ModelChain},
    provider::Provider,
};
use crate::{
    model_api::{GEMINI_BASE_URL, ModelPrices, OPENAI_BASE_URL, Transport, sensitive_header_value},
    settings::Settings,
};

/// The names allowed in LLM_PROVIDER and LLM_FALLBACKS, for a problem report.
const PROVIDER_NAMES: &str = "extractive, gemini, anthropic, groq, deepseek, openai";
/// A supported provider, with the names and defaults of its settings.
struct ProviderSpec {
    name: &'static str,
    /// Setting and default.
    base_url: (&'static str, &'static str),
    /// Setting.
    key: &'static str,
    /// Setting and default. Model names are retired every few months; the default applies only when a deployment
    /// names no models.
    models: (&'static str, &'static [&'static str]),
    dialect: ApiDialect,
}

const PROVIDER_SPECS: [ProviderSpec; 5] = [
    ProviderSpec {
        name: "gemini",
        base_url: GEMINI_BASE_URL,
        key: "GEMINI_API_KEY",
        models: ("GEMINI_MODELS", &["gemini-3.8-flash", "gemini-3.5-flash-lite"]),
        dialect: ApiDialect::Gemini,
    },
    ProviderSpec {
        name: "anthropic",
        base_url: ("ANTHROPIC_BASE_URL", "https://api.anthropic.com"),
        key: "ANTHROPIC_API_KEY",
        models: ("ANTHROPIC_MODELS", &["claude-haiku-4-5", "claude-sonnet-5"]),
        dialect: ApiDialect::Anthropic,
    },
    ProviderSpec {
        name: "groq",
        base_url: ("GROQ_BASE_URL", "https://api.groq.com/openai/v1"),
        key: "GROQ_API_KEY",
        models: ("GROQ_MODELS", &["openai/gpt-oss-120b", "qwen/qwen3.6-27b"]),
        dialect: ApiDialect::OpenAiCompatible { max_tokens_field: "max_completion_tokens" },
    },
    ProviderSpec {
        name: "deepseek",
        base_url: ("DEEPSEEK_BASE_URL", "https://api.deepseek.com"),
        key: "DEEPSEEK_API_KEY",
        models: ("DEEPSEEK_MODELS", &["deepseek-flash", "deepseek-v4-pro"]),
        dialect: ApiDialect::OpenAiCompatible { max_tokens_field: "max_tokens" },
    },
    ProviderSpec {
        name: "openai",
        base_url: OPENAI_BASE_URL,
        key: "OPENAI_API_KEY",
        // No default: OPENAI_BASE_URL may point to any server, and no model name exists on all of them.
        models: ("OPENAI_MODELS", &[]),
        dialect: ApiDialect::OpenAiCompatible { max_tokens_field: "max_tokens" },
    },
];

impl Provider {
    /// Reads LLM_PROVIDER, LLM_FALLBACKS, LLM_CALL_TIMEOUT_S, the prices, and each provider's key, base URL and
    /// models. LLM_PROVIDER defaults to the first provider that is configured and not a fallback, or else to
    /// `extractive`.
    pub fn read(settings: &mut Settings) -> Self {
        let prices = ModelPrices::read(settings);
        let call_timeout = settings.seconds("LLM_CALL_TIMEOUT_S", 20);
        // Reads the settings of all providers, also of unused ones: a test compares the settings that are read with
        // those of template.yaml.
        let parsed = PROVIDER_SPECS.map(|spec| (spec.name, spec.parse(settings)));
        let mut names = settings.list("LLM_FALLBACKS", &[]);
        let first = settings.optional("LLM_PROVIDER").unwrap_or_else(|| {
            let is_fallback = |name: &str| names.iter().any(|fallback| fallback == name);
            let configured = parsed.iter().find(|(name, provider)| provider.is_configured && !is_fallback(name));
            configured.map_or("extractive", |(name, _)| name).to_owned()
        });
        if first == "extractive" && !names.is_empty() {
            settings.problem("LLM_FALLBACKS is set, but LLM_PROVIDER is extractive, which never fails");
        }
        names.insert(0, first);
        let mut providers: Vec<Endpoint> = Vec::new();
        let mut ends_extractive = false;
        let mut parsed: Vec<_> = parsed.into_iter().collect();
        for name in names {
            if name == "extractive" {
                ends_extractive = true;
            } else if ends_extractive {
                settings.problem("LLM_FALLBACKS goes on after extractive, which never fails");
            } else if let Some(at) = parsed.iter().position(|(parsed_name, _)| *parsed_name == name) {
                let (_, provider) = parsed.swap_remove(at);
                provider.problems.iter().for_each(|problem| settings.problem(problem));
                providers.push(provider.endpoint);
            } else if providers.iter().any(|provider| provider.name == name) {
                settings.problem(format_args!("LLM_FALLBACKS names {name} twice"));
            } else {
                // The report does not repeat the value, which may be a key pasted into the wrong setting.
                settings
                    .problem(format_args!("LLM_PROVIDER and LLM_FALLBACKS name something else than {PROVIDER_NAMES}"));
            }
        }
        if providers.is_empty() {
            return Self::Extractive;
        }
        Self::Models(Arc::new(ModelChain {
            providers,
            transport: Transport::new(),
            prices,
            call_timeout,
            falls_back_to_extractive: ends_extractive,
        }))
    }
}

/// A provider built from the settings.
struct ParsedProvider {
    endpoint: Endpoint,
    /// True when the provider has models, and a key or (OpenAI only) a custom base URL.
    is_configured: bool,
    /// Problems of the provider's settings. They are reported only when LLM_PROVIDER or LLM_FALLBACKS names the
    /// provider.
    problems: Vec<String>,
}

impl ProviderSpec {
    fn parse(self, settings: &mut Settings) -> ParsedProvider {
        let Self { name, base_url: (base_url, default), key, models: (models, default_models), dialect } = self;
        let base_url = settings.url(base_url, default);
        let is_default_url = base_url == default;
        let secret = settings.optional_secret(key);
        let named = settings.list(models, default_models);
        let mut problems = Vec::new();
        // An OpenAI-compatible server at a custom base URL may need no key.
        if secret.is_none() && (is_default_url || name != "openai") {
            problems.push(format!("{key} is missing"));
        }
        if named.is_empty() {
            problems.push(format!("{models} is missing"));
        }
        let header = secret.map(|secret| key_header_value(&secret, dialect));
        if header.as_ref().is_some_and(Option::is_none) {
            problems.push(format!("{key} has characters that no key has"));
        }
        let dialect = match dialect {
            ApiDialect::OpenAiCompatible { .. } if base_url == OPENAI_BASE_URL.1 => {
                ApiDialect::OpenAiCompatible { max_tokens_field: "max_completion_tokens" }
            }
            dialect => dialect,
        };
        // An OpenAI key without a model may be meant for embeddings only.
        let is_configured = (header.is_some() || (name == "openai" && !is_default_url)) && !named.is_empty();
        let endpoint = Endpoint {
            name,
            dialect,
            base_url,
            key: header.flatten(),
            models: named,
            circuit_breaker: CircuitBreaker::default(),
        };
        ParsedProvider { endpoint, is_configured, problems }
    }
}

/// The value of the key's header, hidden from `Debug`; `None` when the key has invalid characters.
fn key_header_value(key: &str, dialect: ApiDialect) -> Option<HeaderValue> {
    match dialect {
        ApiDialect::Gemini | ApiDialect::Anthropic => sensitive_header_value(key),
        ApiDialect::OpenAiCompatible { .. } => sensitive_header_value(&format!("Bearer {key}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (Provider, Result<(), String>) {
        let map = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut settings = Settings::new(map);
        let provider = Provider::read(&mut settings);
        (provider, settings.finish().map_err(|error| error.to_string()))
    }

    fn names(provider: &Provider) -> Vec<(&'static str, Vec<String>)> {
        match provider {
            Provider::Extractive => Vec::new(),
            Provider::Models(models) => {
                models.providers.iter().map(|provider| (provider.name, provider.models.clone())).collect()
            }
        }
    }

    #[test]
    fn without_settings_the_provider_is_extractive() {
        let (provider, problems) = read(&[]);
        problems.unwrap();
        assert_eq!((provider.name(), provider.has_model()), ("extractive", false));
    }

    #[test]
    fn without_llm_provider_the_first_configured_provider_is_used() {
        for (pairs, expected) in [
            (&[("GEMINI_API_KEY", "k")][..], "gemini"),
            (&[("GROQ_API_KEY", "k"), ("ANTHROPIC_API_KEY", "k")], "anthropic"),
            (&[("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1"), ("OPENAI_MODELS", "small")], "openai"),
            // A key for embeddings only: no chat model is named.
            (&[("OPENAI_API_KEY", "k")], "extractive"),
            (&[("GEMINI_API_KEY", "k"), ("LLM_PROVIDER", "extractive")], "extractive"),
            (&[("GEMINI_BASE_URL", "http://127.0.0.1:1")], "extractive"),
        ] {
            let (provider, problems) = read(pairs);
            problems.unwrap();
            assert_eq!(provider.name(), expected, "{pairs:?}");
        }
        // A provider named as a fallback is not the first one.
        let (provider, problems) =
            read(&[("GROQ_API_KEY", "k"), ("DEEPSEEK_API_KEY", "k"), ("LLM_FALLBACKS", "groq,extractive")]);
        problems.unwrap();
        assert_eq!(names(&provider).iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["deepseek", "groq"]);
    }

    #[test]
    fn a_chain_keeps_the_order_and_the_models_of_the_settings() {
        let (provider, problems) = read(&[
            ("LLM_PROVIDER", "openai"),
            ("LLM_FALLBACKS", "groq, extractive"),
            ("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1/"),
            ("OPENAI_MODELS", "llama4:8b, phi5"),
            ("GROQ_API_KEY", "gsk_test"),
        ]);
        problems.unwrap();
        assert_eq!((provider.name(), provider.has_model()), ("openai", true));
        let names = names(&provider);
        assert_eq!(names[0], ("openai", vec!["llama4:8b".to_owned(), "phi5".to_owned()]));
        assert_eq!(names[1].0, "groq");
        assert!(!format!("{provider:?}").contains("gsk_test"), "{provider:?}");
    }

    #[test]
    fn settings_problems_are_reported_without_the_values() {
        for (pairs, expected) in [
            (&[("LLM_PROVIDER", "groq")][..], "GROQ_API_KEY is missing"),
            (&[("LLM_PROVIDER", "openai")], "OPENAI_API_KEY is missing; OPENAI_MODELS is missing"),
            (&[("LLM_PROVIDER", "sk-1234")], "LLM_PROVIDER and LLM_FALLBACKS name something else than"),
            (&[("LLM_PROVIDER", "groq"), ("GROQ_API_KEY", "a\u{7}")], "GROQ_API_KEY has characters"),
            (
                &[("LLM_FALLBACKS", "groq"), ("GROQ_API_KEY", "k")],
                "LLM_FALLBACKS is set, but LLM_PROVIDER is extractive",
            ),
            (&[("LLM_PROVIDER", "groq"), ("LLM_FALLBACKS", "groq"), ("GROQ_API_KEY", "k")], "names groq twice"),
        ] {
            let problem = read(pairs).1.unwrap_err();
            assert!(problem.contains(expected) && !problem.contains("1234"), "{problem}");
        }
    }
}
