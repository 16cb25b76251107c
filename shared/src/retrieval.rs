//! Hybrid retrieval of passages from a tenant's documents. One statement finds candidates by full text and by
//! vectors; the code here ranks and merges them.

mod follow_up;
mod merge;
mod ranking;
mod search;

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use self::ranking::Candidate;
pub use self::ranking::content_words;
pub use self::search::{RetrievalError, SearchRequest, embed_and_search};
use crate::{db::TenantTx, input, text::Language};

pub use follow_up::standalone_question;

/// Most candidates from each of the two searches, full text and vectors.
pub const MAX_CANDIDATES_PER_SEARCH: i32 = 50;

/// A question of 1 to 10,000 characters.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 10_000, example = "What does delivery cost?")]
pub struct Question(String);

impl TryFrom<String> for Question {
    type Error = input::UnusableText;

    fn try_from(text: String) -> Result<Self, input::UnusableText> {
        input::several_lines(&text, 1, 10_000).map(Self)
    }
}

impl Question {
    /// Returns the text of the question.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A retrieved passage: one chunk, or adjacent chunks merged.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// The chunk that was found by the search.
    pub chunk_id: Uuid,
    /// The passage's document.
    pub document_id: Uuid,
    /// The document's filename.
    pub filename: String,
    /// First page of the passage, from 1.
    pub page_start: i32,
    /// Last page of the passage, from 1.
    pub page_end: i32,
    /// Indexes in the document of the passage's chunks, from 0.
    pub chunk_indexes: RangeInclusive<i32>,
    /// Text of the passage.
    pub text: String,
    /// Fused score. Comparable within one search only.
    pub score: f64,
}

/// A search by full text and by the vector of one model.
#[derive(Debug)]
pub struct HybridQuery<'a> {
    /// The question as the user asked it.
    pub question: &'a str,
    /// The standalone question ([`standalone_question`]), which is searched for.
    pub standalone: &'a str,
    /// Language of the question.
    pub language: Language,
    /// Vector of the standalone question, of [`DIMENSIONS`](crate::embeddings::DIMENSIONS) dimensions.
    pub embedding: &'a [f32],
    /// Stored name of the model that made the vector. Chunks of other models are not searched.
    pub model: &'a str,
    /// Weight of vector similarity in the fused score, where full-text rank and n-gram BM25 weigh 1 each.
    pub vector_weight: f64,
    /// Documents to search; `None` for all.
    pub documents: Option<&'a [Uuid]>,
    /// Most passages to return.
    pub limit: i64,
}

/// Finds passages by full text and by vector similarity, ranks them (`ranking`) and merges them (`merge`).
/// Returns the best first.
///
/// # Errors
/// Fails when a statement fails.
pub async fn search(tx: &mut TenantTx, search: &HybridQuery<'_>) -> sqlx::Result<Vec<Passage>> {
    let rows = sqlx::query!(
        r#"
        with lexical as (
            select chunk_id, rank from app.search_chunks($2, $3, $4, $5, $6)
        ), semantic as (
            select chunk_id, nearness from app.nearest_chunks($7, $4, $5, $6) where nearness > 0
        ), found as materialized (
            -- First of all: a policy lets no index be searched for what a full join makes of two ids.
            select chunk_id, lexical.rank, semantic.nearness from lexical full join semantic using (chunk_id)
        )
        select chunk.id as chunk_id, chunk.document_id, document.filename, chunk.page_start,
            chunk.page_end, chunk.chunk_index, chunk.text_chunk as text, found.rank as "rank?",
            coalesce(found.nearness, nullif(1 - (chunk.embedding <=> $7::real[]::vector), 'NaN')) as "nearness?"
        from found cross join lateral (
            -- One by one, and by the id alone: the planner takes tenants for smaller than the largest are, and would read
            -- all of their chunks.
            select one.id, one.customer_id, one.document_id, one.page_start, one.page_end, one.chunk_index,
                one.text_chunk, one.embedding
            from document_chunks one
            where one.id = found.chunk_id
            offset 0
        ) chunk
        join documents document on document.id = chunk.document_id
        where chunk.customer_id = $1
        order by chunk.id
        "#,
        tx.tenant(),
        ranking::content_words(search.standalone, search.language),
        search.language.as_str(),
        search.model,
        search.documents,
        MAX_CANDIDATES_PER_SEARCH,
        search.embedding
    )
    .fetch_all(&mut *tx)
    .await?;
    let candidates = rows.into_iter().map(|row| Candidate {
        rank: row.rank.map_or(0.0, f64::from),
        similarity: row.nearness.unwrap_or(0.0),
        passage: Passage {
            chunk_id: row.chunk_id,
            document_id: row.document_id,
            filename: row.filename,
            page_start: row.page_start,
            page_end: row.page_end,
            chunk_indexes: row.chunk_index..=row.chunk_index,
            text: row.text,
            score: 0.0,
        },
    });
    let ordered = ranking::order(search, candidates.collect());
    let mut passages = merge::merge_and_deduplicate(ordered, usize::try_from(search.limit).unwrap_or_default());
    merge::extend_into_next_chunk(tx, &mut passages).await?;
    Ok(passages)
}

/// Returns true when all these documents exist and belong to the tenant.
///
/// # Errors
/// Fails when the statement fails.
pub async fn all_documents_exist(tx: &mut TenantTx, documents: &[Uuid]) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        select not exists (
            select from unnest($2::uuid[]) as wanted (id)
            where not exists (select from documents where customer_id = $1 and documents.id = wanted.id)
        ) as "all!"
        "#,
        tx.tenant(),
        documents
    )
    .fetch_one(tx)
    .await
}
