//! Which models a deployment uses, and in which order.

use std::sync::Arc;

use http::HeaderValue;

use super::{
    Provider,
    chain::{Endpoint, Models, Wire},
    circuit::Circuit,
    prices::Prices,
    transport::Transport,
};
use crate::settings::Settings;

/// Of which LLM_PROVIDER is one, and of which LLM_FALLBACKS are several.
const NAMES: &str = "extractive, gemini, anthropic, groq, deepseek, openai";
/// Where Gemini is; embeddings are made there too.
pub(crate) const GEMINI_BASE_URL: (&str, &str) =
    ("GEMINI_BASE_URL", "https://generativelanguage.googleapis.com/v1beta");
/// OpenAI's own API; everybody else's limits a reply by `max_tokens`.
pub(crate) const OPENAI_BASE_URL: (&str, &str) = ("OPENAI_BASE_URL", "https://api.openai.com/v1");

/// A provider that there is, with the names of its settings. Names of models die every few months: these are only what
/// is used where a deployment names none.
struct Known {
    name: &'static str,
    base_url: (&'static str, &'static str),
    key: &'static str,
    models: (&'static str, &'static [&'static str]),
    wire: Wire,
}

const KNOWN: [Known; 5] = [
    Known {
        name: "gemini",
        base_url: GEMINI_BASE_URL,
        key: "GEMINI_API_KEY",
        models: ("GEMINI_MODELS", &["gemini-3.8-flash", "gemini-3.5-flash-lite"]),
        wire: Wire::Gemini,
    },
    Known {
        name: "anthropic",
        base_url: ("ANTHROPIC_BASE_URL", "https://api.anthropic.com"),
        key: "ANTHROPIC_API_KEY",
        models: ("ANTHROPIC_MODELS", &["claude-haiku-4-5", "claude-sonnet-5"]),
        wire: Wire::Anthropic,
    },
    Known {
        name: "groq",
        base_url: ("GROQ_BASE_URL", "https://api.groq.com/openai/v1"),
        key: "GROQ_API_KEY",
        models: ("GROQ_MODELS", &["openai/gpt-oss-120b", "qwen/qwen3.6-27b"]),
        wire: Wire::OpenAiCompatible { limit: "max_completion_tokens" },
    },
    Known {
        name: "deepseek",
        base_url: ("DEEPSEEK_BASE_URL", "https://api.deepseek.com"),
        key: "DEEPSEEK_API_KEY",
        models: ("DEEPSEEK_MODELS", &["deepseek-flash", "deepseek-v4-pro"]),
        wire: Wire::OpenAiCompatible { limit: "max_tokens" },
    },
    Known {
        name: "openai",
        base_url: OPENAI_BASE_URL,
        key: "OPENAI_API_KEY",
        // Of which server, OPENAI_BASE_URL says: there is no name that all of them know.
        models: ("OPENAI_MODELS", &[]),
        wire: Wire::OpenAiCompatible { limit: "max_tokens" },
    },
];

impl Provider {
    /// Reads LLM_PROVIDER, LLM_FALLBACKS, LLM_CALL_TIMEOUT_S, LLM_PRICES, and of each provider its key, base URL and
    /// models. Without LLM_PROVIDER it is the first that is set up otherwise.
    pub fn read(settings: &mut Settings) -> Self {
        let prices = Prices::read(settings);
        let call_timeout = settings.seconds("LLM_CALL_TIMEOUT_S", 20);
        // All of them: a name that was not asked for would be unknown to whoever compares settings with the template.
        let known = KNOWN.map(|known| (known.name, known.read(settings)));
        let mut wanted = settings.list("LLM_FALLBACKS");
        let first = settings.optional("LLM_PROVIDER").unwrap_or_else(|| {
            let is_fallback = |name: &str| wanted.iter().any(|wanted| wanted == name);
            let set_up = known.iter().find(|(name, read)| read.is_set_up && !is_fallback(name));
            set_up.map_or("extractive", |(name, _)| name).to_owned()
        });
        if first == "extractive" && !wanted.is_empty() {
            settings.problem("LLM_FALLBACKS is set, but LLM_PROVIDER is extractive, which never fails");
        }
        wanted.insert(0, first);
        let mut providers: Vec<Endpoint> = Vec::new();
        let mut ends_extractive = false;
        let mut known: Vec<_> = known.into_iter().collect();
        for name in wanted {
            if name == "extractive" {
                ends_extractive = true;
            } else if ends_extractive {
                settings.problem("LLM_FALLBACKS goes on after extractive, which never fails");
            } else if let Some(at) = known.iter().position(|(known, _)| *known == name) {
                let (_, read) = known.swap_remove(at);
                read.problems.iter().for_each(|problem| settings.problem(problem));
                providers.push(read.endpoint);
            } else if providers.iter().any(|provider| provider.name == name) {
                settings.problem(format_args!("LLM_FALLBACKS names {name} twice"));
            } else {
                // Not repeated: somebody may have put a key in the wrong line.
                settings.problem(format_args!("LLM_PROVIDER and LLM_FALLBACKS name something else than {NAMES}"));
            }
        }
        if providers.is_empty() {
            return Self::Extractive;
        }
        Self::Models(Arc::new(Models { providers, transport: Transport::new(), prices, call_timeout, ends_extractive }))
    }
}

/// A provider as the settings have it, and what is wrong with it, should it be used.
struct Read {
    endpoint: Endpoint,
    /// Whether it has a key, or an address of one's own.
    is_set_up: bool,
    problems: Vec<String>,
}

impl Known {
    fn read(self, settings: &mut Settings) -> Read {
        let Self { name, base_url: (base_url, default), key, models: (models, default_models), wire } = self;
        let base_url = settings.optional_url(base_url).unwrap_or_else(|| default.to_owned());
        let is_its_own = base_url == default;
        let secret = settings.optional(key);
        let mut named = settings.list(models);
        if named.is_empty() {
            named = default_models.iter().map(|model| (*model).to_owned()).collect();
        }
        let mut problems = Vec::new();
        // A server of one's own may want no key.
        if secret.is_none() && (is_its_own || name != "openai") {
            problems.push(format!("{key} is missing"));
        }
        if named.is_empty() {
            problems.push(format!("{models} is missing"));
        }
        let header = secret.map(|secret| header(&secret, wire));
        if header.as_ref().is_some_and(Option::is_none) {
            problems.push(format!("{key} has characters that no key has"));
        }
        let wire = match wire {
            Wire::OpenAiCompatible { .. } if base_url == OPENAI_BASE_URL.1 => {
                Wire::OpenAiCompatible { limit: "max_completion_tokens" }
            }
            wire => wire,
        };
        // A key of OpenAI's without a model may be for embeddings only.
        let is_set_up = (header.is_some() || (name == "openai" && !is_its_own)) && !named.is_empty();
        let endpoint =
            Endpoint { name, wire, base_url, key: header.flatten(), models: named, circuit: Circuit::default() };
        Read { endpoint, is_set_up, problems }
    }
}

/// The key as its header has it; never shown by `Debug`.
fn header(key: &str, wire: Wire) -> Option<HeaderValue> {
    match wire {
        Wire::Gemini | Wire::Anthropic => secret(key),
        Wire::OpenAiCompatible { .. } => secret(&format!("Bearer {key}")),
    }
}

/// A header's value that is never shown; none where the text cannot be one.
pub(crate) fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
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
    fn without_settings_no_model_is_asked() {
        let (provider, problems) = read(&[]);
        problems.unwrap();
        assert_eq!((provider.name(), provider.is_a_model()), ("extractive", false));
    }

    #[test]
    fn without_a_name_the_provider_is_the_one_that_has_a_key() {
        for (pairs, expected) in [
            (&[("GEMINI_API_KEY", "k")][..], "gemini"),
            (&[("GROQ_API_KEY", "k"), ("ANTHROPIC_API_KEY", "k")], "anthropic"),
            (&[("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1"), ("OPENAI_MODELS", "small")], "openai"),
            // For embeddings only: there is no model to ask.
            (&[("OPENAI_API_KEY", "k")], "extractive"),
            (&[("GEMINI_API_KEY", "k"), ("LLM_PROVIDER", "extractive")], "extractive"),
            (&[("GEMINI_BASE_URL", "http://127.0.0.1:1")], "extractive"),
        ] {
            let (provider, problems) = read(pairs);
            problems.unwrap();
            assert_eq!(provider.name(), expected, "{pairs:?}");
        }
        // What is named as a fallback is not asked first.
        let (provider, problems) =
            read(&[("GROQ_API_KEY", "k"), ("DEEPSEEK_API_KEY", "k"), ("LLM_FALLBACKS", "groq,extractive")]);
        problems.unwrap();
        assert_eq!(names(&provider).iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["deepseek", "groq"]);
    }

    #[test]
    fn a_chain_keeps_its_order_and_models_are_settings() {
        let (provider, problems) = read(&[
            ("LLM_PROVIDER", "openai"),
            ("LLM_FALLBACKS", "groq, extractive"),
            ("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1/"),
            ("OPENAI_MODELS", "llama4:8b, phi5"),
            ("GROQ_API_KEY", "gsk_test"),
        ]);
        problems.unwrap();
        assert_eq!((provider.name(), provider.is_a_model()), ("openai", true));
        let names = names(&provider);
        assert_eq!(names[0], ("openai", vec!["llama4:8b".to_owned(), "phi5".to_owned()]));
        assert_eq!(names[1].0, "groq");
        assert!(!format!("{provider:?}").contains("gsk_test"), "{provider:?}");
    }

    #[test]
    fn what_a_chain_needs_is_told_and_nothing_is_repeated() {
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
