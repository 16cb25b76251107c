//! Which embedder a deployment uses.

use super::{Embedder, LocalEmbedder};
use crate::settings::Settings;

impl Embedder {
    /// Reads EMBEDDING_PROVIDER: `local` so far.
    pub fn read(settings: &mut Settings) -> Self {
        match settings.text("EMBEDDING_PROVIDER", "local").as_str() {
            "local" => {}
            _ => settings.problem("EMBEDDING_PROVIDER is not one of: local"),
        }
        Self::Local(LocalEmbedder)
    }
}
