//! Which embedder a deployment uses.

use std::sync::Arc;

use http::HeaderValue;

use super::{
    DIMENSIONS, Embedder, LocalEmbedder,
    remote::{Model, Wire},
};
use crate::{
    llm::choice::{GEMINI_BASE_URL, OPENAI_BASE_URL, secret},
    settings::Settings,
};

/// What is used where EMBEDDING_MODEL says nothing.
const GEMINI_MODEL: &str = "gemini-embedding-001";

/// Where models are, as far as the settings say.
#[derive(Debug)]
pub(super) struct Providers {
    gemini_url: String,
    gemini_key: Option<HeaderValue>,
    openai_url: Option<String>,
    openai_key: Option<HeaderValue>,
}

impl Providers {
    fn openai_is_their_own(&self) -> bool {
        self.openai_url.as_deref().is_none_or(|url| url == OPENAI_BASE_URL.1)
    }

    fn gemini(&self, model: &str, dimensions: Option<usize>) -> Model {
        let (url, key) = (self.gemini_url.clone(), self.gemini_key.clone());
        Model::new(Wire::Gemini, model.to_owned(), url, key, dimensions.or(Some(DIMENSIONS)))
    }

    fn openai(&self, model: &str, dimensions: Option<usize>) -> Model {
        let url = self.openai_url.clone().unwrap_or_else(|| OPENAI_BASE_URL.1.to_owned());
        // A server of one's own may have a model that takes no length.
        let dimensions = dimensions.or(self.openai_is_their_own().then_some(DIMENSIONS));
        Model::new(Wire::OpenAiCompatible, model.to_owned(), url, self.openai_key.clone(), dimensions)
    }

    /// The embedder that has this stored name.
    pub(super) fn named(&self, name: &str) -> Embedder {
        if name == LocalEmbedder::MODEL {
            return Embedder::Local(LocalEmbedder);
        }
        let (model, dimensions) = match name.rsplit_once('@').map(|(model, length)| (model, length.parse())) {
            Some((model, Ok(length))) => (model, Some(length)),
            _ => (name, None),
        };
        let found = match model.split_once(':') {
            Some(("gemini", id)) if self.gemini_key.is_some() => self.gemini(id, dimensions),
            Some(("openai", id)) if self.openai_key.is_some() || !self.openai_is_their_own() => {
                self.openai(id, dimensions)
            }
            _ => return Embedder::OutOfReach(name.into()),
        };
        Embedder::Model(Arc::new(found))
    }
}

impl Embedder {
    /// Reads EMBEDDING_PROVIDER, EMBEDDING_MODEL, EMBEDDING_DIMENSIONS, and the keys and base URLs of the providers,
    /// which are those of their language models.
    pub fn read(settings: &mut Settings) -> Self {
        Self::read_with_providers(settings).0
    }

    pub(super) fn read_with_providers(settings: &mut Settings) -> (Self, Providers) {
        let provider = settings.text("EMBEDDING_PROVIDER", "local");
        let model = settings.optional("EMBEDDING_MODEL");
        let dimensions: usize = settings.parsed("EMBEDDING_DIMENSIONS", 0);
        let gemini_url = settings.optional_url(GEMINI_BASE_URL.0);
        let gemini_key = settings.optional("GEMINI_API_KEY");
        let openai_url = settings.optional_url(OPENAI_BASE_URL.0);
        let openai_key = settings.optional("OPENAI_API_KEY");
        if dimensions > DIMENSIONS {
            settings.problem(format_args!("EMBEDDING_DIMENSIONS is more than {DIMENSIONS}"));
        }
        let dimensions = (dimensions > 0).then_some(dimensions);
        let providers = Providers {
            gemini_url: gemini_url.unwrap_or_else(|| GEMINI_BASE_URL.1.to_owned()),
            gemini_key: gemini_key.as_deref().and_then(secret),
            openai_url,
            openai_key: openai_key.as_ref().and_then(|key| secret(&format!("Bearer {key}"))),
        };
        let model = match provider.as_str() {
            "local" => return (Self::Local(LocalEmbedder), providers),
            "gemini" => {
                if providers.gemini_key.is_none() {
                    settings.problem("GEMINI_API_KEY is missing, or no key");
                }
                providers.gemini(model.as_deref().unwrap_or(GEMINI_MODEL), dimensions)
            }
            "openai" => {
                if model.is_none() {
                    settings.problem("EMBEDDING_MODEL is missing");
                }
                // A server of one's own may want no key.
                if providers.openai_key.is_none() && (providers.openai_is_their_own() || openai_key.is_some()) {
                    settings.problem("OPENAI_API_KEY is missing, or no key");
                }
                providers.openai(&model.unwrap_or_default(), dimensions)
            }
            _ => {
                settings.problem("EMBEDDING_PROVIDER is not one of: local, gemini, openai");
                return (Self::Local(LocalEmbedder), providers);
            }
        };
        (Self::Model(Arc::new(model)), providers)
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
    fn the_name_that_is_stored_says_whose_model_it_is() {
        for (pairs, name) in [
            (&[][..], "local-ngram-1"),
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
    fn what_is_missing_or_wrong_is_told() {
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
    fn a_stored_name_leads_back_to_its_model() {
        let own = ("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1");
        let mut settings = Settings::new(
            [("GEMINI_API_KEY", "k"), own].map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        );
        let (_, providers) = Embedder::read_with_providers(&mut settings);
        for name in [
            "local-ngram-1",
            "gemini:gemini-embedding-001",
            "gemini:gemini-embedding-001@768",
            "openai:all-minilm:l6-v2",
            "openai:nomic@256",
        ] {
            let embedder = providers.named(name);
            assert_eq!(embedder.model(), name);
            assert!(!matches!(embedder, Embedder::OutOfReach(_)), "{name}");
        }
        let (_, providers) = Embedder::read_with_providers(&mut Settings::default());
        for name in
            ["gemini:gemini-embedding-001", "openai:text-embedding-3-small", "cohere:embed", "local-ngram-0", "x"]
        {
            let embedder = providers.named(name);
            assert_eq!(embedder.model(), name);
            assert!(matches!(embedder, Embedder::OutOfReach(_)), "{name}");
        }
    }
}
