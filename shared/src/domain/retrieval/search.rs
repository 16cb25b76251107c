//! Retrieval with the embedding model of the tenant's chunks. That is the configured model, except between a change
//! of the configuration and the tenant's reembedding.

use uuid::Uuid;

use super::{hybrid_search::search, query::HybridQuery};
use crate::{
    db::Db,
    embeddings::{EmbedError, EmbedderRegistry},
    error::ApiError,
    llm::{ModelCall, Passage},
    logging, reembedding,
    text::Language,
};

/// Most searches for one question: by the configured model, by the tenant's model, and once more when the tenant
/// switched models meanwhile.
const MAX_MODEL_LOOKUPS: usize = 3;

/// A question to retrieve passages for.
#[derive(Debug)]
pub struct SearchRequest<'a> {
    /// The question as the user asked it.
    pub question: &'a str,
    /// The standalone question, which is embedded and searched for.
    pub standalone: &'a str,
    /// Language of the question.
    pub language: Language,
    /// Documents to search; `None` for all.
    pub documents: Option<&'a [Uuid]>,
    /// Most passages to return.
    pub limit: i64,
}

/// A failed retrieval.
#[derive(Debug, thiserror::Error)]
pub enum RetrievalError {
    /// The question could not be embedded, and full text alone found nothing. The documents may still have the
    /// answer.
    #[error("nothing was found by words alone")]
    Embedding(#[from] EmbedError),
    /// A statement failed.
    #[error(transparent)]
    Database(#[from] ApiError),
}

/// Embeds the question and searches the tenant's documents ([`search()`]). The tenant's model is read only when the
/// configured model finds nothing, since the two are mostly equal. When the question cannot be embedded, full text
/// alone is searched. The calls of embedding models are appended to `calls`, for the cost ledger.
///
/// # Errors
/// [`RetrievalError::Embedding`] when embedding failed and full text found nothing, [`RetrievalError::Database`] when
/// a statement failed.
pub async fn embed_and_search(
    db: &Db,
    embedders: &EmbedderRegistry,
    tenant: Uuid,
    request: &SearchRequest<'_>,
    calls: &mut Vec<ModelCall>,
) -> Result<Vec<Passage>, RetrievalError> {
    let mut embedder = embedders.current().clone();
    for _ in 0..MAX_MODEL_LOOKUPS {
        let (embedding, failure) = match embedders.embed_query(embedder.model(), request.standalone, calls).await {
            Ok(embedding) => (embedding, None),
            Err(error) => {
                logging::metric("QuestionsWithoutVector", 1.0);
                let (chain, model) = (logging::chain(&error), embedder.model());
                if error.retry_after().is_some() {
                    tracing::warn!(error = chain, model, "searched by words alone");
                } else {
                    tracing::error!(
                        error = chain,
                        model,
                        "the embedding model cannot be used: searched by words alone"
                    );
                }
                // No chunk is near the zero vector.
                (embedder.zero_vector(), Some(error))
            }
        };
        let query = HybridQuery {
            question: request.question,
            standalone: request.standalone,
            language: request.language,
            embedding: &embedding,
            model: embedder.model(),
            vector_weight: embedder.vector_weight(),
            documents: request.documents,
            limit: request.limit,
        };
        // One snapshot for both statements: the model read is that of the chunks that the search did not find.
        let (passages, model) = db
            .tenant_snapshot_tx(tenant, async |tx| {
                let passages = search(tx, &query).await?;
                let model = if passages.is_empty() { reembedding::tenant_model(tx).await? } else { None };
                Ok((passages, model))
            })
            .await?;
        match model {
            Some(model) if model != embedder.model() => embedder = embedders.for_model(&model),
            _ if passages.is_empty() => return failure.map_or(Ok(passages), |failure| Err(failure.into())),
            _ => return Ok(passages),
        }
    }
    Ok(Vec::new())
}
