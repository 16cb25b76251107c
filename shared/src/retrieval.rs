//! Retrieval: the passages of a tenant's documents that a question is about. Full text and vectors, fused by reciprocal
//! rank, in one statement.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    db::TenantTx,
    input,
    text::{self, Language},
};

/// How many each of the two searches contributes.
const CANDIDATES: i32 = 50;
/// Of reciprocal rank fusion: how much the first places stand out. 60 is Cormack, Clarke and Büttcher's (SIGIR 2009).
const RANK_CONSTANT: f64 = 60.0;
/// What a place among the vectors counts, against 1 for the same place in full text. Measured by `cargo eval`
/// (docs/BENCHMARKS.md).
const VECTOR_WEIGHT: f64 = 0.5;

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
    /// The chunk.
    pub chunk_id: Uuid,
    /// Its document.
    pub document_id: Uuid,
    /// The document's name.
    pub filename: String,
    /// The page on which it begins.
    pub page_start: i32,
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
    /// The language it is asked in.
    pub language: Language,
    /// The vector of the question.
    pub embedding: &'a [f32],
    /// The model that made it: vectors of other models are not looked at.
    pub model: &'a str,
    /// Only these documents, where some are named.
    pub documents: Option<&'a [Uuid]>,
    /// How many passages.
    pub most: i64,
}

/// Finds the passages, the best first.
///
/// # Errors
/// The database's.
pub async fn search(tx: &mut TenantTx, search: &Search<'_>) -> sqlx::Result<Vec<Passage>> {
    sqlx::query_as!(
        Passage,
        r#"
        with lexical as (
            select chunk_id, row_number() over (order by rank desc, chunk_id) as place
            from app.search_chunks($2, $3, $4, $5, $6)
        ), nearest as (
            -- Exact: every vector of the tenant is compared.
            select chunk.id as chunk_id, chunk.embedding <=> $7::real[]::vector as distance
            from document_chunks chunk
            join documents document on document.id = chunk.document_id
            where chunk.customer_id = $1 and document.customer_id = $1 and document.status = 'processed'
              and chunk.embedding_model = $4
              and ($5::uuid[] is null or chunk.document_id = any ($5))
            order by distance
            limit $6::integer
        ), semantic as (
            select chunk_id, row_number() over (order by distance, chunk_id) as place from nearest where distance < 1
        ), fused as (
            select chunk_id, sum(weight / ($8::float8 + place)) as score
            from (
                select chunk_id, place, 1::float8 as weight from lexical
                union all
                select chunk_id, place, $9::float8 from semantic
            ) found
            group by chunk_id
            order by score desc, chunk_id
            limit $10::bigint
        )
        select chunk.id as chunk_id, chunk.document_id, document.filename, chunk.page_start,
            chunk.text_chunk as text, fused.score as "score!"
        from fused
        join document_chunks chunk on chunk.id = fused.chunk_id and chunk.customer_id = $1
        join documents document on document.id = chunk.document_id
        order by fused.score desc, chunk.id
        "#,
        tx.tenant(),
        text::fold(search.question),
        search.language.as_str(),
        search.model,
        search.documents,
        CANDIDATES,
        search.embedding,
        RANK_CONSTANT,
        VECTOR_WEIGHT,
        search.most
    )
    .fetch_all(tx)
    .await
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
