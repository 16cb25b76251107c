//! Finding by the model that the tenant's chunks have, which is the one that is set, but for a while after that changed.

use uuid::Uuid;

use super::{Passage, Search, search};
use crate::{
    db::Db,
    embeddings::{DIMENSIONS, EmbedError, Embedders},
    error::ApiError,
    logging, reembedding,
    text::Language,
};

/// By the model that is set, by the tenant's own, and once more where the tenant went over meanwhile.
const LOOKS: usize = 3;

/// What is to be found.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// What is asked.
    pub question: &'a str,
    /// The same with what it goes on from.
    pub standalone: &'a str,
    /// The language it is asked in.
    pub language: Language,
    /// Only these documents, where some are named.
    pub documents: Option<&'a [Uuid]>,
    /// How many passages.
    pub most: i64,
}

/// Why nothing is found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The question has no vector, and its words alone found nothing: what the documents say is not known.
    #[error("nothing was found by words alone")]
    Embedding(#[from] EmbedError),
    /// The database's.
    #[error(transparent)]
    Database(#[from] ApiError),
}

/// Finds the passages of a tenant, as [`search`] does. Only where the model that is set finds nothing, the tenant is asked
/// for its own: most of the time that is the same. While there are no vectors to be had, words alone are searched.
///
/// # Errors
/// [`FindError`].
pub async fn find(
    db: &Db,
    embedders: &Embedders,
    tenant: Uuid,
    wanted: &Wanted<'_>,
) -> Result<Vec<Passage>, FindError> {
    let mut embedder = embedders.current().clone();
    for _ in 0..LOOKS {
        let (embedding, failure) = match embedders.embed_query(embedder.model(), wanted.standalone).await {
            Ok(embedding) => (embedding, None),
            Err(error) => {
                logging::metric("QuestionsWithoutVector", 1.0);
                tracing::warn!(error = logging::chain(&error), model = embedder.model(), "searched by words alone");
                // Nothing is near a vector without a direction.
                (vec![0.0; DIMENSIONS], Some(error))
            }
        };
        let search_for = Search {
            question: wanted.question,
            standalone: wanted.standalone,
            language: wanted.language,
            embedding: &embedding,
            model: embedder.model(),
            vector_weight: embedder.vector_weight(),
            documents: wanted.documents,
            most: wanted.most,
        };
        // On one snapshot: the model is that of the chunks that were not found.
        let (passages, model) = db
            .tenant_snapshot(tenant, async |tx| {
                let passages = search(tx, &search_for).await?;
                let model = if passages.is_empty() { reembedding::model(tx).await? } else { None };
                Ok::<_, ApiError>((passages, model))
            })
            .await?;
        match model {
            Some(model) if model != embedder.model() => embedder = embedders.named(&model),
            _ if passages.is_empty() => return failure.map_or(Ok(passages), |failure| Err(failure.into())),
            _ => return Ok(passages),
        }
    }
    Ok(Vec::new())
}
