//! Routes of the tenant's documents: list, show, delete, retry and replace.

use std::time::Duration;

use axum::extract::{FromRef, State};
use serde::Deserialize;
use shared::{
    auth::{AccountUser, AuditedRead, Caller, SupportUser, VerificationKeys},
    db::Db,
    documents::{self, Document, DocumentListing},
    error::Result,
    function::{Function, HttpFunction},
    http::{Data, Envelope, Json, NoContent, Path, PreferredLanguage, Query},
    paging::{List, ListParams, ListParamsOf},
    queue::Queue,
    rate_limits::RateLimits,
    routes,
    settings::Settings,
    storage::Storage,
    unconfirmed::UnconfirmedLimits,
};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// The `documents` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Dependencies of the function.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
    storage: Storage,
    ingest_queue: Queue,
    unconfirmed: UnconfirmedLimits,
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
            unconfirmed: UnconfirmedLimits::read(settings),
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new()
            .routes(routes!(list))
            .routes(routes!(show, delete))
            .routes(routes!(retry))
            .routes(routes!(replace))
    }
}

/// Lists one page of the company's documents, newest first unless another order is given.
#[utoipa::path(
    get, path = "/api/v1/documents", tag = "documents", params(ListParamsOf<DocumentListing>),
    responses((status = 200, body = List<Document>)),
)]
async fn list(
    caller: Caller<SupportUser>,
    State(db): State<Db>,
    PreferredLanguage(language): PreferredLanguage,
    Query(params): Query<ListParams>,
) -> Result<List<Document>> {
    let paging = params.validate::<DocumentListing>()?;
    db.tenant_tx(caller.tenant(), async |tx| documents::list(tx, &paging, language).await).await
}

/// Returns one document with its progress.
#[utoipa::path(
    get, path = "/api/v1/documents/{id}", tag = "documents", params(("id" = Uuid, Path)),
    responses((status = 200, body = Envelope<Document>)),
)]
async fn show(
    caller: Caller<SupportUser>,
    State(db): State<Db>,
    PreferredLanguage(language): PreferredLanguage,
    Path(id): Path<Uuid>,
) -> Result<Data<Document>> {
    let read = AuditedRead::of("document.read", "document", id);
    caller.read_tx(&db, read, async |tx| Ok(Data(documents::get(tx, id, language).await?))).await
}

/// Deletes a document with its chunks and its file.
#[utoipa::path(
    delete, path = "/api/v1/documents/{id}", tag = "documents", params(("id" = Uuid, Path)),
    responses((status = 204)),
)]
async fn delete(caller: Caller<AccountUser>, State(deps): State<Deps>, Path(id): Path<Uuid>) -> Result<NoContent> {
    let tenant = caller.tenant();
    let object = deps.db.tenant_tx(tenant, async |tx| Ok(documents::delete(tx, id).await?)).await?;
    documents::delete_files(&deps.db, &deps.storage, tenant, &[object]).await?;
    Ok(NoContent)
}

/// Retries the processing of a failed document.
///
/// A retry of an account that is neither confirmed nor paid for counts as a document does: 403
/// `unconfirmed_budget_reached` when the day's requests of all such accounts are used up.
#[utoipa::path(
    post, path = "/api/v1/documents/{id}/retry", tag = "documents", params(("id" = Uuid, Path)),
    responses((status = 200, body = Envelope<Document>), (status = 409)),
)]
async fn retry(
    caller: Caller<AccountUser>,
    State(deps): State<Deps>,
    PreferredLanguage(language): PreferredLanguage,
    Path(id): Path<Uuid>,
) -> Result<Data<Document>> {
    let (document, message) = deps
        .db
        .tenant_tx(caller.tenant(), async |tx| {
            let retried = documents::retry(tx, id, language).await?;
            deps.unconfirmed.admit_document(tx, id, true).await?;
            Ok(retried)
        })
        .await?;
    deps.ingest_queue.send_or_log(&message, Duration::ZERO).await;
    Ok(Data(document))
}

/// Older document to be replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "replaces": "0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01" }))]
struct Replacement {
    /// Identifier of the older document.
    replaces: Uuid,
}

/// Lets a document replace an older one of the company. The older one is deleted in the moment in which this document is
/// processed; until then, and when the processing fails, answers come from the older one. Repeating the call changes
/// nothing.
#[utoipa::path(
    post, path = "/api/v1/documents/{id}/replace", tag = "documents", params(("id" = Uuid, Path)),
    request_body = Replacement,
    responses((status = 200, body = Envelope<Document>), (status = 409)),
)]
async fn replace(
    caller: Caller<AccountUser>,
    State(deps): State<Deps>,
    PreferredLanguage(language): PreferredLanguage,
    Path(id): Path<Uuid>,
    Json(Replacement { replaces }): Json<Replacement>,
) -> Result<Data<Document>> {
    let tenant = caller.tenant();
    let (document, objects) =
        deps.db.tenant_tx(tenant, async |tx| Ok(documents::replace(tx, id, replaces, language).await?)).await?;
    documents::delete_files(&deps.db, &deps.storage, tenant, &objects).await?;
    Ok(Data(document))
}
