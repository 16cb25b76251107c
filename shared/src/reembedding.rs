//! Embedding the chunks of a tenant anew by another model. New vectors wait in `reembedded_chunks`; when all are there the
//! tenant goes over in one transaction. Which model a tenant has is in `customers.embedding_model`.

use serde_json::json;
use uuid::Uuid;

use crate::{
    audit::{self, Entry},
    db::{SystemDb, SystemTx, TenantTx},
    embeddings::{EmbedError, Embedder},
    error::ApiError,
};

/// Chunks in one call of the model: what a kill can lose.
const BATCH: i64 = 96;

/// The model of the tenant's chunks; `None` before it has any.
///
/// # Errors
/// The database's.
pub async fn model(tx: &mut TenantTx) -> sqlx::Result<Option<String>> {
    let model = sqlx::query_scalar!("select embedding_model from customers where id = $1", tx.tenant());
    // Queues may speak of tenants that are gone.
    Ok(model.fetch_optional(tx).await?.flatten())
}

/// The same, which becomes this one where there is none yet.
///
/// # Errors
/// The database's.
pub async fn model_or(tx: &mut TenantTx, current: &str) -> sqlx::Result<String> {
    sqlx::query!(
        "update customers set embedding_model = $2 where id = $1 and embedding_model is null",
        tx.tenant(),
        current
    )
    .execute(&mut *tx)
    .await?;
    // Another worker may have been first; a statement of its own sees what it committed.
    Ok(model(tx).await?.unwrap_or_else(|| current.to_owned()))
}

/// The tenants that have chunks of another model, a page of them by id.
///
/// # Errors
/// The database's.
pub async fn tenants(tx: &mut SystemTx, model: &str, after: Uuid, most: i64) -> sqlx::Result<Vec<Uuid>> {
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
        most
    )
    .fetch_all(tx)
    .await
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Embedded a batch. So many vectors wait now, of so many.
    Embedded {
        /// They wait.
        done: i64,
        /// Of these.
        total: i64,
    },
    /// All wait: the next step is [`go_over`].
    Ready,
    /// Another run is at this tenant.
    Busy,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The model gave no vectors.
    #[error(transparent)]
    Embedding(#[from] EmbedError),
    /// The database's.
    #[error(transparent)]
    Database(#[from] ApiError),
}

impl From<sqlx::Error> for StepError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Embeds the next chunks of a tenant whose new vectors are missing. Only chunks of processed documents: what is being
/// ingested begins anew when the tenant has gone over. Runs in one transaction, with the model asked within it, so that of
/// several runs each text is embedded by one.
///
/// # Errors
/// The model's, or the database's; nothing is stored then.
pub async fn step(db: &SystemDb, embedder: &Embedder, tenant: Uuid) -> Result<Step, StepError> {
    db.system(async |tx| {
        let is_mine = sqlx::query_scalar!(
            r#"select pg_try_advisory_xact_lock(hashtextextended('reembedding ' || $1::uuid::text, 0)) as "is_mine!""#,
            tenant
        )
        .fetch_one(&mut *tx)
        .await?;
        if !is_mine {
            return Ok(Step::Busy);
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
            BATCH
        )
        .fetch_all(&mut *tx)
        .await?;
        if missing.is_empty() {
            return Ok(Step::Ready);
        }
        let (ids, texts): (Vec<_>, Vec<_>) = missing.into_iter().map(|chunk| (chunk.id, chunk.text_chunk)).unzip();
        let vectors = embedder.embed_documents(&texts).await?;
        let flat: Vec<f32> = vectors.into_iter().flatten().collect();
        let row = sqlx::query!(
            r#"
            with stored as (
                insert into reembedded_chunks (chunk_id, customer_id, embedding_model, embedding)
                select chunk.id, $1, $2, ($4::real[])[(made.place - 1) * 1536 + 1 : made.place * 1536]::vector
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
            embedder.model(),
            &ids,
            &flat
        )
        .fetch_one(&mut *tx)
        .await?;
        Ok(Step::Embedded { done: row.done, total: row.total })
    })
    .await
}

/// What came of going over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crossing {
    /// The tenant has the model, and so many chunks went over.
    Over(u64),
    /// Some chunks have no new vector yet, because a document was finished meanwhile: nothing has changed.
    NotYet,
    /// There is no such tenant.
    Unknown,
}

/// Lets a tenant go over to its new vectors, all at once, and removes what waited.
///
/// # Errors
/// The database's.
pub async fn go_over(db: &SystemDb, model: &str, tenant: Uuid) -> Result<Crossing, ApiError> {
    let outcome = db
        .system(async |tx| {
            // First of all, as whoever deletes a document does: in another order the two would wait for each other.
            sqlx::query!(
                "select id from documents where customer_id = $1 and status = 'processed' order by id for no key update",
                tenant
            )
            .fetch_all(&mut *tx)
            .await?;
            let moved = sqlx::query!(
                r#"
                update document_chunks chunk
                set embedding = anew.embedding, embedding_model = $2
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
            // Waits for workers that store chunks, and keeps others from it: they hold this row while they do.
            let former =
                sqlx::query_scalar!("select embedding_model from customers where id = $1 for no key update", tenant)
                    .fetch_optional(&mut *tx)
                    .await?;
            let Some(former) = former else { return Ok(Crossing::Unknown) };
            sqlx::query!("update customers set embedding_model = $2 where id = $1", tenant, model)
                .execute(&mut *tx)
                .await?;
            let is_whole = sqlx::query_scalar!(
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
            .await?;
            if !is_whole {
                // Rolled back.
                return Err(Undone::NotYet);
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
            if moved == 0 && former.as_deref() == Some(model) {
                return Ok(Crossing::Over(moved));
            }
            let entry = Entry {
                actor: None,
                action: "documents.reembedded",
                object: format!("customer:{tenant}"),
                request_id: None,
                details: json!({ "from": former, "to": model, "chunks": moved }),
            };
            audit::record_for(tx, Some(tenant), &entry).await?;
            Ok(Crossing::Over(moved))
        })
        .await;
    match outcome {
        Ok(crossing) => Ok(crossing),
        Err(Undone::NotYet) => Ok(Crossing::NotYet),
        Err(Undone::Failed(error)) => Err(error),
    }
}

/// Why what was begun is rolled back.
enum Undone {
    NotYet,
    Failed(ApiError),
}

impl From<ApiError> for Undone {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl From<sqlx::Error> for Undone {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}
