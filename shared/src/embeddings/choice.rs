//! Which embedder a deployment uses.

use std::sync::Arc;

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

impl Embedder {
    /// Reads EMBEDDING_PROVIDER, EMBEDDING_MODEL, EMBEDDING_DIMENSIONS, and the key and base URL of the provider, which
    /// are those of its language models.
    pub fn read(settings: &mut Settings) -> Self {
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
        let model = match provider.as_str() {
            "local" => return Self::Local(LocalEmbedder),
            "gemini" => {
                let key = gemini_key.as_deref().and_then(secret);
                if key.is_none() {
                    settings.problem("GEMINI_API_KEY is missing, or no key");
                }
                let url = gemini_url.unwrap_or_else(|| GEMINI_BASE_URL.1.to_owned());
                let model = model.unwrap_or_else(|| GEMINI_MODEL.to_owned());
                Model::new(Wire::Gemini, model, url, key, dimensions.or(Some(DIMENSIONS)))
            }
            "openai" => {
                if model.is_none() {
                    settings.problem("EMBEDDING_MODEL is missing");
                }
                let is_their_own = openai_url.as_deref().is_none_or(|url| url == OPENAI_BASE_URL.1);
                let key = openai_key.as_ref().and_then(|key| secret(&format!("Bearer {key}")));
                // A server of one's own may want no key, and may have a model that takes no length.
                if key.is_none() && (is_their_own || openai_key.is_some()) {
                    settings.problem("OPENAI_API_KEY is missing, or no key");
                }
                let url = openai_url.unwrap_or_else(|| OPENAI_BASE_URL.1.to_owned());
                let dimensions = dimensions.or(is_their_own.then_some(DIMENSIONS));
                Model::new(Wire::OpenAiCompatible, model.unwrap_or_default(), url, key, dimensions)
            }
            _ => {
                settings.problem("EMBEDDING_PROVIDER is not one of: local, gemini, openai");
                return Self::Local(LocalEmbedder);
            }
        };
        Self::Model(Arc::new(model))
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
}
