//! The tenant's documents: list, look, delete, try again.

use std::time::Duration;

use axum::extract::{FromRef, State};
use shared::{
    audit,
    auth::{AccountUser, Caller, SupportUser, VerificationKeys},
    db::Db,
    documents::{self, Document, DocumentListing},
    error::{ApiError, Result},
    function::{Function, HttpFunction},
    http::{Data, Envelope, NoContent, Path, Preferred, Query},
    jobs, logging,
    paging::{List, ListParams},
    queue::Queue,
    rate_limits::RateLimits,
    routes,
    settings::Settings,
    storage::Storage,
};
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// The function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// What it needs.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
    storage: Storage,
    ingest_queue: Queue,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "documents";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self {
            limits: RateLimits::read(settings, &db),
            db,
            keys: VerificationKeys::read(settings),
            storage: Storage::read(settings),
            ingest_queue: Queue::read(settings, "INGEST_QUEUE_URL"),
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, delete)).routes(routes!(retry))
    }
}

/// A page of the documents, newest first.
#[utoipa::path(
    get, path = "/api/v1/documents", tag = "documents", params(ListParams),
    responses((status = 200, body = List<Document>)),
)]
async fn list(
    caller: Caller<SupportUser>,
    State(db): State<Db>,
    Preferred(language): Preferred,
    Query(params): Query<ListParams>,
) -> Result<List<Document>> {
    let paging = params.of::<DocumentListing>()?;
    db.tenant(caller.tenant(), async |tx| documents::list(tx, &paging, language).await).await
}

/// One document, with its progress.
#[utoipa::path(
    get, path = "/api/v1/documents/{id}", tag = "documents", params(("id" = Uuid, Path)),
    responses((status = 200, body = Envelope<Document>)),
)]
async fn show(
    caller: Caller<SupportUser>,
    State(db): State<Db>,
    Preferred(language): Preferred,
    Path(id): Path<Uuid>,
) -> Result<Data<Document>> {
    db.tenant(caller.tenant(), async |tx| {
        let document = documents::get(tx, id, language).await?;
        if caller.is_support() {
            let entry = audit::Entry {
                actor: Some(caller.user),
                action: "document.read",
                object: format!("document:{id}"),
                request_id: Some(&caller.request_id),
                details: serde_json::json!({}),
            };
            audit::record(tx, &entry).await?;
        }
        Ok(Data(document))
    })
    .await
}

/// Deletes a document, its chunks and its file.
#[utoipa::path(
    delete, path = "/api/v1/documents/{id}", tag = "documents", params(("id" = Uuid, Path)),
    responses((status = 204)),
)]
async fn delete(caller: Caller<AccountUser>, State(deps): State<Deps>, Path(id): Path<Uuid>) -> Result<NoContent> {
    let tenant = caller.tenant();
    let orphan = deps.db.tenant(tenant, async |tx| Ok::<_, ApiError>(documents::delete(tx, id).await?)).await?;
    // The document is gone for the caller. Its file goes now, or with the next sweep of the job that was written.
    match deps.storage.delete(&orphan.storage_key).await {
        Ok(()) => deps.db.tenant(tenant, async |tx| Ok::<_, ApiError>(jobs::done(tx, orphan.job).await?)).await?,
        Err(error) => tracing::warn!(error = logging::chain(&error), "the file is left to maintenance"),
    }
    Ok(NoContent)
}

/// Tries a failed document again.
#[utoipa::path(
    post, path = "/api/v1/documents/{id}/retry", tag = "documents", params(("id" = Uuid, Path)),
    responses((status = 200, body = Envelope<Document>), (status = 409)),
)]
async fn retry(
    caller: Caller<AccountUser>,
    State(deps): State<Deps>,
    Preferred(language): Preferred,
    Path(id): Path<Uuid>,
) -> Result<Data<Document>> {
    let (document, message) = deps
        .db
        .tenant(caller.tenant(), async |tx| Ok::<_, ApiError>(documents::retry(tx, id, language).await?))
        .await?;
    deps.ingest_queue.offer(&message, Duration::ZERO).await;
    Ok(Data(document))
}
