//! Search by full text and by vectors at once: one statement finds candidates, then they are ranked and merged.

use std::collections::HashSet;

use uuid::Uuid;

use super::{
    merge, places,
    query::HybridQuery,
    ranking::{self, Candidate},
    versions::Versions,
};
use crate::{db::TenantTx, llm::Passage};

/// Most candidates from each of the two searches, full text and vectors.
pub const MAX_CANDIDATES_PER_SEARCH: i32 = 50;

/// Finds passages by full text and by vector similarity, ranks them (`ranking`) and merges them (`merge`).
/// Returns the best first.
///
/// # Errors
/// Fails when a statement fails.
pub async fn search(tx: &mut TenantTx, search: &HybridQuery<'_>) -> sqlx::Result<Vec<Passage>> {
    let (candidates, versions) = find_with_versions(tx, search).await?;
    let ordered = versions.newest_first(ranking::order(search, candidates));
    let mut passages = merge::merge_and_deduplicate(ordered, usize::try_from(search.limit).unwrap_or_default());
    merge::extend_and_title(tx, &mut passages).await?;
    places::locate(tx, &mut passages).await?;
    Ok(passages)
}

/// Finds the candidates and the versions of their documents. Among many versions, the newest one may not be found: it is
/// searched by itself then.
async fn find_with_versions(tx: &mut TenantTx, search: &HybridQuery<'_>) -> sqlx::Result<(Vec<Candidate>, Versions)> {
    let mut candidates = find_candidates(tx, search, search.documents).await?;
    let documents = documents_of(&candidates);
    let mut versions = Versions::of(tx, &documents, search.documents).await?;
    let missing = versions.missing(&documents);
    if !missing.is_empty() {
        let found = find_candidates(tx, search, Some(&missing)).await?;
        versions.extend(Versions::of(tx, &documents_of(&found), search.documents).await?);
        candidates.extend(found);
    }
    Ok((candidates, versions))
}

/// Returns the documents of candidates, each once.
fn documents_of(candidates: &[Candidate]) -> Vec<Uuid> {
    let documents: HashSet<_> = candidates.iter().map(|candidate| candidate.passage.document_id).collect();
    documents.into_iter().collect()
}

async fn find_candidates(
    tx: &mut TenantTx,
    search: &HybridQuery<'_>,
    documents: Option<&[Uuid]>,
) -> sqlx::Result<Vec<Candidate>> {
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
        documents,
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
            version: None,
            place: None,
            title: None,
            page_start: row.page_start,
            page_end: row.page_end,
            chunk_indexes: row.chunk_index..=row.chunk_index,
            text: row.text,
            score: 0.0,
        },
    });
    Ok(candidates.collect())
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
