//! Reembedding of a tenant's chunks by another model. New vectors are collected in `reembedded_chunks`; when all are
//! present the tenant switches models in one transaction. `customers.embedding_model` holds the tenant's model.

use serde_json::json;
use uuid::Uuid;

use crate::{
    audit::{self, NewAuditEntry},
    db::{SystemDb, SystemTx, TenantTx},
    embeddings::{EmbedError, Embedder},
    error::ApiError,
    llm::ModelCall,
    logging, periods,
    plans::LimitExceeded,
    usage,
};

/// Most chunks per call of the model, and so per transaction: a killed process loses at most one batch.
const MAX_CHUNKS_PER_BATCH: i64 = 96;

/// Returns the name of the model of the tenant's chunks; `None` before the tenant has any.
///
/// # Errors
/// Fails when the statement fails.
pub async fn tenant_model(tx: &mut TenantTx) -> sqlx::Result<Option<String>> {
    let model = sqlx::query_scalar!("select embedding_model from customers where id = $1", tx.tenant());
    // A queued message may name a tenant that was deleted.
    Ok(model.fetch_optional(tx).await?.flatten())
}

/// Returns the name of the model of the tenant's chunks. A tenant without one gets `current`.
///
/// # Errors
/// Fails when a statement fails.
pub async fn get_or_set_tenant_model(tx: &mut TenantTx, current: &str) -> sqlx::Result<String> {
    sqlx::query!(
        "update customers set embedding_model = $2 where id = $1 and embedding_model is null",
        tx.tenant(),
        current
    )
    .execute(&mut *tx)
    .await?;
    // Another worker may have set the model first. A separate statement has a newer snapshot, which shows its commit.
    Ok(tenant_model(tx).await?.unwrap_or_else(|| current.to_owned()))
}

/// Lists tenants that have chunks of a model other than `model`, by id, at most `limit` after `after`.
///
/// # Errors
/// Fails when the statement fails.
pub async fn tenants_to_reembed(tx: &mut SystemTx, model: &str, after: Uuid, limit: i64) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        select tenant.id from customers tenant
        where tenant.id > $2
          and (tenant.embedding_model <> $1 or exists (
              select from document_chunks chunk where chunk.customer_id = tenant.id and chunk.embedding_model <> $1
          ))
        order by tenant.id
        limit $3
        "#,
        model,
        after,
        limit
    )
    .fetch_all(tx)
    .await
}

/// Outcome of [`embed_next_batch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchOutcome {
    /// A batch was embedded.
    Embedded {
        /// Chunks of the tenant that have a new vector.
        done: i64,
        /// Chunks of the tenant to embed.
        total: i64,
    },
    /// Every chunk has a new vector: [`switch_model`] comes next.
    Ready,
    /// Another process is reembedding this tenant.
    Busy,
}

/// A failed batch.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The model returned no usable vectors.
    #[error(transparent)]
    Embedding(#[from] EmbedError),
    /// The cost of the tenant's model calls has reached its cap. The search goes on with the previous model.
    #[error("the spend cap of the period is reached: {} of {} millionths of a dollar", .0.used, .0.most)]
    SpendCapReached(LimitExceeded),
    /// A statement failed.
    #[error(transparent)]
    Database(#[from] ApiError),
}

impl From<sqlx::Error> for BatchError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Embeds the next batch of a tenant's chunks that have no new vector. Only chunks of processed documents are taken:
/// the ingestion of other documents restarts after the tenant has switched models. The model is called within the
/// transaction, under an advisory lock of the tenant, so that of several processes one embeds each text.
///
/// The calls of the model are recorded in a transaction of their own, since failed ones are charged for, too.
///
/// # Errors
/// Fails when the model or a statement fails. No vector is stored then, unless only the calls could not be recorded.
pub async fn embed_next_batch(db: &SystemDb, embedder: &Embedder, tenant: Uuid) -> Result<BatchOutcome, BatchError> {
    let mut calls = Vec::new();
    let embedded = embed_batch(db, embedder, tenant, &mut calls).await;
    if !calls.is_empty() {
        let recorded = db.system_tx(async |tx| Ok(usage::record_calls_for(tx, tenant, "reembed", &calls).await?)).await;
        match recorded {
            Err(error) if embedded.is_err() => {
                tracing::error!(error = logging::chain(&error), "the calls of a failed batch were not recorded");
            }
            recorded => recorded?,
        }
    }
    embedded
}

/// Embeds the next batch in one transaction. The calls of the model are appended to `calls`.
async fn embed_batch(
    db: &SystemDb,
    embedder: &Embedder,
    tenant: Uuid,
    calls: &mut Vec<ModelCall>,
) -> Result<BatchOutcome, BatchError> {
    db.system_tx_with_error(async |tx| {
        let is_mine = sqlx::query_scalar!(
            r#"select pg_try_advisory_xact_lock(hashtextextended('reembedding ' || $1::uuid::text, 0)) as "is_mine!""#,
            tenant
        )
        .fetch_one(&mut *tx)
        .await?;
        if !is_mine {
            return Ok(BatchOutcome::Busy);
        }
        let missing = sqlx::query!(
            r#"
            select chunk.id, chunk.text_chunk
            from document_chunks chunk
            join documents document on document.id = chunk.document_id and document.status = 'processed'
            where chunk.customer_id = $1 and chunk.embedding_model <> $2 and not exists (
                select from reembedded_chunks anew where anew.chunk_id = chunk.id and anew.embedding_model = $2
            )
            order by chunk.id
            limit $3
            "#,
            tenant,
            embedder.model(),
            MAX_CHUNKS_PER_BATCH
        )
        .fetch_all(&mut *tx)
        .await?;
        if missing.is_empty() {
            return Ok(BatchOutcome::Ready);
        }
        let (ids, texts): (Vec<_>, Vec<_>) = missing.into_iter().map(|chunk| (chunk.id, chunk.text_chunk)).unzip();
        if embedder.is_billed()
            && let Some(exceeded) = periods::exceeded_spend_cap(tx, tenant).await?
        {
            return Err(BatchError::SpendCapReached(exceeded));
        }
        let vectors = embedder.embed_documents(&texts, calls).await?;
        store_vectors(tx, embedder.model(), tenant, &ids, vectors).await
    })
    .await
}

/// Stores the new vectors of chunks that still exist, and counts how far the tenant is.
async fn store_vectors(
    tx: &mut SystemTx,
    model: &str,
    tenant: Uuid,
    ids: &[Uuid],
    vectors: Vec<Vec<f32>>,
) -> Result<BatchOutcome, BatchError> {
    let length = vectors.first().map_or(0, Vec::len) as i32;
    let flat: Vec<f32> = vectors.into_iter().flatten().collect();
    let row = sqlx::query!(
        r#"
        with stored as (
            insert into reembedded_chunks (chunk_id, customer_id, embedding_model, embedding, short_embedding)
            select chunk.id, $1, $2,
                case when $5 = 1536 then ($4::real[])[(made.place - 1) * $5 + 1 : made.place * $5]::vector end,
                case when $5 = 384 then ($4::real[])[(made.place - 1) * $5 + 1 : made.place * $5]::vector end
            from unnest($3::uuid[]) with ordinality as made (id, place)
            -- Locked, and left out where it was deleted meanwhile.
            join (
                select id from document_chunks where id = any ($3) and customer_id = $1 order by id for key share
            ) chunk on chunk.id = made.id
            on conflict on constraint reembedded_chunks_pkey do nothing
            returning chunk_id
        )
        select (select count(*) from stored) + (
            select count(*) from reembedded_chunks where customer_id = $1 and embedding_model = $2
        ) as "done!", (
            select count(*) from document_chunks chunk
            join documents document on document.id = chunk.document_id and document.status = 'processed'
            where chunk.customer_id = $1 and chunk.embedding_model <> $2
        ) as "total!"
        "#,
        tenant,
        model,
        ids,
        &flat,
        length
    )
    .fetch_one(&mut *tx)
    .await?;
    Ok(BatchOutcome::Embedded { done: row.done, total: row.total })
}

/// Outcome of [`switch_model`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwitchOutcome {
    /// The tenant has the new model; holds the number of chunks whose vectors were replaced.
    Switched(u64),
    /// Some chunks have no new vector, because a document was processed meanwhile. Nothing was changed.
    MissingVectors,
    /// The tenant does not exist.
    TenantNotFound,
}

/// Switches a tenant to its new vectors in one transaction, and deletes them from `reembedded_chunks`.
///
/// # Errors
/// Fails when a statement fails.
pub async fn switch_model(db: &SystemDb, model: &str, tenant: Uuid) -> Result<SwitchOutcome, ApiError> {
    let outcome = db
        .system_tx_with_error(async |tx| {
            let moved = replace_vectors(tx, model, tenant).await?;
            // Workers hold a lock on this row while they store chunks: waits for those workers and blocks new ones.
            let previous =
                sqlx::query_scalar!("select embedding_model from customers where id = $1 for no key update", tenant)
                    .fetch_optional(&mut *tx)
                    .await?;
            let Some(previous) = previous else { return Ok(SwitchOutcome::TenantNotFound) };
            sqlx::query!("update customers set embedding_model = $2 where id = $1", tenant, model)
                .execute(&mut *tx)
                .await?;
            if !has_only_vectors_of(tx, model, tenant).await? {
                // The error rolls the transaction back.
                return Err(Rollback::MissingVectors);
            }
            sqlx::query!(
                "update documents set embedding_model = $2
                where customer_id = $1 and status = 'processed' and embedding_model is distinct from $2",
                tenant,
                model
            )
            .execute(&mut *tx)
            .await?;
            sqlx::query!("delete from reembedded_chunks where customer_id = $1", tenant).execute(&mut *tx).await?;
            if moved == 0 && previous.as_deref() == Some(model) {
                return Ok(SwitchOutcome::Switched(moved));
            }
            let entry = NewAuditEntry {
                actor: None,
                action: "documents.reembedded",
                object: format!("customer:{tenant}"),
                request_id: None,
                details: json!({ "from": previous, "to": model, "chunks": moved }),
            };
            audit::record_for(tx, Some(tenant), &entry).await?;
            Ok(SwitchOutcome::Switched(moved))
        })
        .await;
    match outcome {
        Ok(switched) => Ok(switched),
        Err(Rollback::MissingVectors) => Ok(SwitchOutcome::MissingVectors),
        Err(Rollback::Failed(error)) => Err(error),
    }
}

/// Puts the new vectors into the tenant's chunks. Returns the number of chunks that changed.
async fn replace_vectors(tx: &mut SystemTx, model: &str, tenant: Uuid) -> sqlx::Result<u64> {
    // Lock order: documents before chunks, as in the deletion of a document. Another order could deadlock.
    sqlx::query!(
        "select id from documents where customer_id = $1 and status = 'processed' order by id for no key update",
        tenant
    )
    .fetch_all(&mut *tx)
    .await?;
    let moved = sqlx::query!(
        r#"
        update document_chunks chunk
        set embedding = anew.embedding, short_embedding = anew.short_embedding,
            short_bits = binary_quantize(anew.short_embedding)::bit(384), embedding_model = $2
        from reembedded_chunks anew, documents document
        where chunk.customer_id = $1 and chunk.embedding_model <> $2
          and anew.chunk_id = chunk.id and anew.embedding_model = $2
          and document.id = chunk.document_id and document.status = 'processed'
        "#,
        tenant,
        model
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    Ok(moved)
}

/// Returns true when all chunks of the tenant's processed documents have vectors of `model`.
async fn has_only_vectors_of(tx: &mut SystemTx, model: &str, tenant: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        select not exists (
            select from document_chunks chunk
            join documents document on document.id = chunk.document_id and document.status = 'processed'
            where chunk.customer_id = $1 and chunk.embedding_model <> $2
        ) as "is_whole!"
        "#,
        tenant,
        model
    )
    .fetch_one(&mut *tx)
    .await
}

/// Reason for the rollback of a switch.
enum Rollback {
    MissingVectors,
    Failed(ApiError),
}

impl From<ApiError> for Rollback {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl From<sqlx::Error> for Rollback {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}
