//! Configuration of the embedder: the settings that choose the provider and its model.

use std::{path::PathBuf, sync::Arc};

use http::HeaderValue;

use super::{
    dimensions::DIMENSIONS,
    e5::E5Embedder,
    embedder::Embedder,
    local::LocalEmbedder,
    remote::{EmbeddingApi, RemoteEmbedder},
};
use crate::{
    model_api::{GEMINI_BASE_URL, ModelPrices, OPENAI_BASE_URL, sensitive_header_value},
    settings::Settings,
};

/// Gemini's model when EMBEDDING_MODEL is not set.
const DEFAULT_GEMINI_MODEL: &str = "gemini-embedding-001";

/// The model's file in the Lambda layer that `scripts/fetch-e5.sh` fills.
const DEFAULT_E5_FILE: &str = "/opt/e5/e5-small.bin";

/// The file, base URLs and keys of the embedding providers.
#[derive(Debug)]
pub(super) struct EmbeddingProviders {
    e5_file: PathBuf,
    gemini_url: String,
    gemini_key: Option<HeaderValue>,
    openai_url: String,
    openai_key: Option<HeaderValue>,
    prices: ModelPrices,
}

impl EmbeddingProviders {
    fn e5(&self) -> Embedder {
        Embedder::E5(Arc::new(E5Embedder::new(&self.e5_file)))
    }

    fn is_openai_itself(&self) -> bool {
        self.openai_url == OPENAI_BASE_URL.1
    }

    fn gemini(&self, model: &str, dimensions: Option<usize>) -> RemoteEmbedder {
        let (url, key) = (self.gemini_url.clone(), self.gemini_key.clone());
        let dimensions = dimensions.or(Some(DIMENSIONS));
        RemoteEmbedder::new(EmbeddingApi::Gemini, model.to_owned(), url, key, dimensions, self.prices.clone())
    }

    fn openai(&self, model: &str, dimensions: Option<usize>) -> RemoteEmbedder {
        let url = self.openai_url.clone();
        // A model on a self-hosted server may refuse the parameter `dimensions`.
        let dimensions = dimensions.or(self.is_openai_itself().then_some(DIMENSIONS));
        let (api, key, prices) = (EmbeddingApi::OpenAiCompatible, self.openai_key.clone(), self.prices.clone());
        RemoteEmbedder::new(api, model.to_owned(), url, key, dimensions, prices)
    }

    /// Returns the embedder of a stored model name, or [`Embedder::NotConfigured`] when its provider has no key.
    pub(super) fn embedder_for(&self, name: &str) -> Embedder {
        if name == LocalEmbedder::MODEL {
            return Embedder::Local(LocalEmbedder);
        }
        if name == E5Embedder::MODEL {
            return self.e5();
        }
        let (model, dimensions) = match name.rsplit_once('@').map(|(model, length)| (model, length.parse())) {
            Some((model, Ok(length))) => (model, Some(length)),
            _ => (name, None),
        };
        let found = match model.split_once(':') {
            Some(("gemini", id)) if self.gemini_key.is_some() => self.gemini(id, dimensions),
            Some(("openai", id)) if self.openai_key.is_some() || !self.is_openai_itself() => {
                self.openai(id, dimensions)
            }
            _ => return Embedder::NotConfigured(name.into()),
        };
        Embedder::Remote(Arc::new(found))
    }
}

impl Embedder {
    /// Reads EMBEDDING_PROVIDER, EMBEDDING_MODEL, EMBEDDING_DIMENSIONS, E5_MODEL_FILE, and the keys, base URLs and prices
    /// that the providers share with the language models.
    pub fn read(settings: &mut Settings) -> Self {
        Self::read_with_providers(settings).0
    }

    /// Reads what [`Embedder::read`] reads, and returns the providers too.
    pub(super) fn read_with_providers(settings: &mut Settings) -> (Self, EmbeddingProviders) {
        let provider = settings.text("EMBEDDING_PROVIDER", "local");
        let model = settings.optional("EMBEDDING_MODEL");
        let dimensions: Option<usize> = settings.optional_number("EMBEDDING_DIMENSIONS");
        let gemini_url = settings.url(GEMINI_BASE_URL.0, GEMINI_BASE_URL.1);
        let gemini_key = settings.optional_secret("GEMINI_API_KEY");
        let openai_url = settings.url(OPENAI_BASE_URL.0, OPENAI_BASE_URL.1);
        let openai_key = settings.optional_secret("OPENAI_API_KEY");
        if dimensions.is_some_and(|dimensions| dimensions > DIMENSIONS) {
            settings.problem(format_args!("EMBEDDING_DIMENSIONS is more than {DIMENSIONS}"));
        }
        let dimensions = dimensions.filter(|dimensions| *dimensions > 0);
        let providers = EmbeddingProviders {
            e5_file: settings.text("E5_MODEL_FILE", DEFAULT_E5_FILE).into(),
            gemini_url,
            gemini_key: gemini_key.as_deref().and_then(sensitive_header_value),
            openai_url,
            openai_key: openai_key.as_ref().and_then(|key| sensitive_header_value(&format!("Bearer {key}"))),
            prices: ModelPrices::read(settings),
        };
        let model = match provider.as_str() {
            "local" => return (Self::Local(LocalEmbedder), providers),
            "e5" => return (providers.e5(), providers),
            "gemini" => {
                if providers.gemini_key.is_none() {
                    settings.problem("GEMINI_API_KEY is missing, or no key");
                }
                providers.gemini(model.as_deref().unwrap_or(DEFAULT_GEMINI_MODEL), dimensions)
            }
            "openai" => {
                if model.is_none() {
                    settings.problem("EMBEDDING_MODEL is missing");
                }
                // A self-hosted server may need no key.
                if providers.openai_key.is_none() && (providers.is_openai_itself() || openai_key.is_some()) {
                    settings.problem("OPENAI_API_KEY is missing, or no key");
                }
                providers.openai(&model.unwrap_or_default(), dimensions)
            }
            _ => {
                settings.problem("EMBEDDING_PROVIDER is not one of: local, e5, gemini, openai");
                return (Self::Local(LocalEmbedder), providers);
            }
        };
        (Self::Remote(Arc::new(model)), providers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (Embedder, Result<(), String>) {
        let map = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut settings = Settings::new(map);
        let embedder = Embedder::read(&mut settings);
        (embedder, settings.finish().map_err(|error| error.to_string()))
    }

    #[test]
    fn stored_model_name_names_the_provider() {
        for (pairs, name) in [
            (&[][..], "local-ngram-1"),
            (&[("EMBEDDING_PROVIDER", "e5")], "e5-small-q4-1"),
            (&[("EMBEDDING_PROVIDER", "gemini"), ("GEMINI_API_KEY", "k")], "gemini:gemini-embedding-001"),
            (
                &[
                    ("EMBEDDING_PROVIDER", "openai"),
                    ("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1"),
                    ("EMBEDDING_MODEL", "all-minilm:l6-v2"),
                ],
                "openai:all-minilm:l6-v2",
            ),
            (
                &[("EMBEDDING_PROVIDER", "gemini"), ("GEMINI_API_KEY", "k"), ("EMBEDDING_DIMENSIONS", "768")],
                "gemini:gemini-embedding-001@768",
            ),
        ] {
            let (embedder, problems) = read(pairs);
            problems.unwrap();
            assert_eq!(embedder.model(), name);
        }
    }

    #[test]
    fn missing_or_wrong_settings_are_reported() {
        for (pairs, expected) in [
            (&[("EMBEDDING_PROVIDER", "magic")][..], "EMBEDDING_PROVIDER is not one of"),
            (&[("EMBEDDING_PROVIDER", "gemini")], "GEMINI_API_KEY is missing"),
            (&[("EMBEDDING_PROVIDER", "openai")], "EMBEDDING_MODEL is missing; OPENAI_API_KEY is missing"),
            (&[("EMBEDDING_DIMENSIONS", "3072")], "EMBEDDING_DIMENSIONS is more than 1536"),
        ] {
            let problem = read(pairs).1.unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }

    #[test]
    fn stored_model_name_finds_its_embedder_again() {
        let own = ("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1");
        let mut settings = Settings::new(
            [("GEMINI_API_KEY", "k"), own].map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        );
        let (_, providers) = Embedder::read_with_providers(&mut settings);
        for name in [
            "local-ngram-1",
            "e5-small-q4-1",
            "gemini:gemini-embedding-001",
            "gemini:gemini-embedding-001@768",
            "openai:all-minilm:l6-v2",
            "openai:nomic@256",
        ] {
            let embedder = providers.embedder_for(name);
            assert_eq!(embedder.model(), name);
            assert!(!matches!(embedder, Embedder::NotConfigured(_)), "{name}");
        }
        let (_, providers) = Embedder::read_with_providers(&mut Settings::default());
        for name in
            ["gemini:gemini-embedding-001", "openai:text-embedding-3-small", "cohere:embed", "local-ngram-0", "x"]
        {
            let embedder = providers.embedder_for(name);
            assert_eq!(embedder.model(), name);
            assert!(matches!(embedder, Embedder::NotConfigured(_)), "{name}");
        }
    }
}
