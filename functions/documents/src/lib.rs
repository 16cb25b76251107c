//! Routes of the tenant's documents: list, show, file, text of a page, delete, retry and replace.

use std::time::Duration;

use axum::extract::{FromRef, State};
use serde::Deserialize;
use shared::{
    auth::{AccountUser, AuditedRead, Caller, SupportUser, VerificationKeys},
    db::Db,
    documents::{self, Document, DocumentError, DocumentListing, FileLink, PageText, StoredFile},
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
            .routes(routes!(file))
            .routes(routes!(page))
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

/// Validity of a link to a file. A page fetches the file at once, and asks for a new link later.
const FILE_LINK_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// Returns a link to the document's file, valid for five minutes and without a token. 404 also while the file has not
/// arrived.
#[utoipa::path(
    get, path = "/api/v1/documents/{id}/file", tag = "documents", params(("id" = Uuid, Path)),
    responses((status = 200, body = Envelope<FileLink>)),
)]
async fn file(caller: Caller<SupportUser>, State(deps): State<Deps>, Path(id): Path<Uuid>) -> Result<Data<FileLink>> {
    let read = AuditedRead::of("document.file_read", "document", id);
    let file = caller.read_tx(&deps.db, read, async |tx| Ok(documents::stored_file(tx, id).await?)).await?;
    if !deps.storage.exists(&file.storage_key).await? {
        return Err(DocumentError::NotFound.into());
    }
    let expires_at = shared::clock::now() + FILE_LINK_LIFETIME;
    let StoredFile { storage_key, content_type, disposition } = &file;
    let url = deps.storage.presign_get(storage_key, content_type, disposition, FILE_LINK_LIFETIME).await?;
    Ok(Data(FileLink { url, expires_at }))
}

/// Returns the text that was read from one page, as answers know it.
#[utoipa::path(
    get, path = "/api/v1/documents/{id}/pages/{page}", tag = "documents",
    params(("id" = Uuid, Path), ("page" = i32, Path, minimum = 1, example = json!(2), description = "Page number, from 1")),
    responses((status = 200, body = Envelope<PageText>)),
)]
async fn page(
    caller: Caller<SupportUser>,
    State(db): State<Db>,
    Path((id, page)): Path<(Uuid, i32)>,
) -> Result<Data<PageText>> {
    let read = AuditedRead::of("document.page_read", "document", id);
    caller.read_tx(&db, read, async |tx| Ok(Data(documents::page_text(tx, id, page).await?))).await
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
#[schema(example = json!({ "replaces": "1f7e6d5c-4b3a-4291-8070-6f5e4d3c2b1a" }))]
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
