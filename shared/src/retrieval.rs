//! Retrieval: the passages of a tenant's documents that a question is about. Full text and vectors find candidates in one
//! statement; their order is made here.

mod find;
mod follow_up;
mod joining;
mod ranking;

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

pub use self::find::{FindError, Wanted, find};
use self::ranking::Candidate;
pub use self::ranking::telling_words;
use crate::{db::TenantTx, input, text::Language};

pub use follow_up::standalone;

/// How many each of the two searches contributes.
pub const CANDIDATES: i32 = 50;
/// A question, 1 to 10,000 characters.
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
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A passage that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// The chunk that was found.
    pub chunk_id: Uuid,
    /// Its document.
    pub document_id: Uuid,
    /// The document's name.
    pub filename: String,
    /// The page on which it begins.
    pub page_start: i32,
    /// The page on which it ends.
    pub page_end: i32,
    /// The places in the document of the chunks that it is made of.
    pub chunks: RangeInclusive<i32>,
    /// The text.
    pub text: String,
    /// The fused score; comparable within one search only.
    pub score: f64,
}

/// A search.
#[derive(Debug)]
pub struct Search<'a> {
    /// What is asked.
    pub question: &'a str,
    /// The same with what it goes on from ([`standalone`]): this is what is searched.
    pub standalone: &'a str,
    /// The language it is asked in.
    pub language: Language,
    /// The vector of the question.
    pub embedding: &'a [f32],
    /// The model that made it: vectors of other models are not looked at.
    pub model: &'a str,
    /// What the nearest vector counts, against 1 each for the best by words and by their parts.
    pub vector_weight: f64,
    /// Only these documents, where some are named.
    pub documents: Option<&'a [Uuid]>,
    /// How many passages.
    pub most: i64,
}

/// Finds the passages, the best first: those with the question's words and those whose vectors are near, ordered by
/// [`ranking`] and put together by [`joining`].
///
/// # Errors
/// The database's.
pub async fn search(tx: &mut TenantTx, search: &Search<'_>) -> sqlx::Result<Vec<Passage>> {
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
        ranking::telling_words(search.standalone, search.language),
        search.language.as_str(),
        search.model,
        search.documents,
        CANDIDATES,
        search.embedding
    )
    .fetch_all(&mut *tx)
    .await?;
    let candidates = rows.into_iter().map(|row| Candidate {
        rank: row.rank.map_or(0.0, f64::from),
        nearness: row.nearness.unwrap_or(0.0),
        passage: Passage {
            chunk_id: row.chunk_id,
            document_id: row.document_id,
            filename: row.filename,
            page_start: row.page_start,
            page_end: row.page_end,
            chunks: row.chunk_index..=row.chunk_index,
            text: row.text,
            score: 0.0,
        },
    });
    let ordered = ranking::order(search, candidates.collect());
    let mut passages = joining::join(ordered, usize::try_from(search.most).unwrap_or_default());
    joining::read_on(tx, &mut passages).await?;
    Ok(passages)
}

/// Whether all these documents are the tenant's.
///
/// # Errors
/// The database's.
pub async fn are_known(tx: &mut TenantTx, documents: &[Uuid]) -> sqlx::Result<bool> {
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
