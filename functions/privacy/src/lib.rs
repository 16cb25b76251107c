//! Routes of privacy: exports of a company's data, the deletion of its account and the restoration, the export and deletion
//! of one contact, and the departure of a support user.

use std::time::Duration;

use axum::extract::{FromRef, State};
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::json;
use shared::{
    auth::{AccountUser, Caller, ReturningAccountUser, SignedInUser, VerificationKeys},
    db::{BillingDb, Db, SystemDb},
    error::Result,
    function::{Function, HttpFunction},
    http::{Accepted, Data, Envelope, NoContent, Path, Query},
    paging::{List, ListParams, ListParamsOf},
    privacy::{
        account::{self, AccountState},
        contacts::{self, ContactDeletion, ContactExport, DeletionStep},
        departure,
        exports::{self, Download, Export, ExportListing},
    },
    queue::Queue,
    rate_limits::RateLimits,
    routes,
    settings::Settings,
    storage::{self, Storage},
};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// The `privacy` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Time for which a link to an archive is valid. Each answer has a new one.
const LINK_VALID_FOR: Duration = Duration::from_secs(15 * 60);

/// Dependencies of the function. A user who leaves belongs to several companies, so it also logs in as the system.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    system: SystemDb,
    billing: BillingDb,
    keys: VerificationKeys,
    limits: RateLimits,
    storage: Storage,
    export_queue: Queue,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "privacy";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self {
            limits: RateLimits::read(settings, &db),
            db,
            system: SystemDb::read(settings),
            billing: BillingDb::read(settings),
            keys: VerificationKeys::read(settings),
            storage: Storage::read(settings),
            export_queue: Queue::read(settings, "EXPORT_QUEUE_URL"),
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new()
            .routes(routes!(list_exports, request_export))
            .routes(routes!(show_export))
            .routes(routes!(show_account, delete_account))
            .routes(routes!(restore_account))
            .routes(routes!(leave))
            .routes(routes!(export_contact))
            .routes(routes!(delete_contact))
    }
}

/// Returns a page of the company's exports, newest first, without links: the route of one export issues them.
#[utoipa::path(
    get, path = "/api/v1/privacy/exports", tag = "privacy", params(ListParamsOf<ExportListing>),
    responses((status = 200, body = List<Export>)),
)]
async fn list_exports(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Query(params): Query<ListParams>,
) -> Result<List<Export>> {
    let paging = params.validate::<ExportListing>()?;
    db.tenant_tx(caller.tenant(), async |tx| exports::list(tx, &paging).await).await
}

/// Requests an export of all that the company stores: a ZIP archive of one JSON Lines file for each table and of the
/// uploaded files. While an export is in work, a repetition returns that one.
#[utoipa::path(
    post, path = "/api/v1/privacy/exports", tag = "privacy",
    responses((status = 202, body = Envelope<Export>)),
)]
async fn request_export(caller: Caller<AccountUser>, State(deps): State<Deps>) -> Result<Accepted<Export>> {
    let requested = deps
        .db
        .tenant_tx(caller.tenant(), async |tx| {
            let requested = exports::request(tx, caller.user).await?;
            if requested.message.is_some() {
                let object = format!("export:{}", requested.export.id);
                caller.record(tx, "export.requested", object, json!({})).await?;
            }
            Ok(requested)
        })
        .await?;
    if let Some(message) = &requested.message {
        // The job is committed: when the queue does not take the message, maintenance sends it.
        deps.export_queue.send_or_log(message, Duration::ZERO).await;
    }
    Ok(Accepted(requested.export))
}

/// Returns an export. When it is ready, the answer has a link to the archive, valid for 15 minutes; a later call returns a
/// new link. The archive is deleted after seven days, or when the next one is ready.
#[utoipa::path(
    get, path = "/api/v1/privacy/exports/{id}", tag = "privacy",
    params(("id" = Uuid, Path, description = "Identifier of the export")),
    responses((status = 200, body = Envelope<Export>), (status = 404)),
)]
async fn show_export(
    caller: Caller<AccountUser>,
    State(deps): State<Deps>,
    Path(id): Path<Uuid>,
) -> Result<Data<Export>> {
    let mut export = deps
        .db
        .tenant_tx(caller.tenant(), async |tx| {
            let export = exports::get(tx, id).await?;
            if export.status == "ready" && exports::note_link(tx, id, caller.user).await? {
                // Whoever has the link has the archive, so its issue is a read of everything.
                caller.record(tx, "export.link_issued", format!("export:{id}"), json!({})).await?;
            }
            Ok(export)
        })
        .await?;
    if export.status == "ready" {
        // The link must not outlive the archive.
        let end = shared::clock::now() + LINK_VALID_FOR;
        let expires_at = export.expires_at.map_or(end, |deleted_at| end.min(deleted_at));
        let valid_for =
            (expires_at - shared::clock::now()).max(TimeDelta::seconds(1)).to_std().unwrap_or(LINK_VALID_FOR);
        let key = storage::export_key(caller.tenant(), id);
        let disposition = format!("attachment; filename=\"lisa-export-{id}.zip\"");
        let url = deps.storage.presign_get(&key, "application/zip", &disposition, valid_for).await?;
        export.download = Some(Download { url, expires_at });
    }
    Ok(Data(export))
}

/// Returns the state of the company's account. A deleted one has the time of the deletion, and the time until which it
/// can be restored. An owner of several companies who names none gets the deleted one.
#[utoipa::path(
    get, path = "/api/v1/privacy/account", tag = "privacy",
    responses((status = 200, body = Envelope<AccountState>)),
)]
async fn show_account(caller: Caller<ReturningAccountUser>, State(db): State<Db>) -> Result<Data<AccountState>> {
    db.tenant_tx(caller.tenant(), async |tx| account::state(tx).await.map(Data)).await
}

/// Deletes the account of the company. From this moment on only sign-in and the restoration work, nothing is answered for
/// the company, and its subscription is cancelled. After 30 days everything is deleted for good.
#[utoipa::path(
    delete, path = "/api/v1/privacy/account", tag = "privacy",
    responses((status = 204)),
)]
async fn delete_account(caller: Caller<AccountUser>, State(db): State<Db>) -> Result<NoContent> {
    let tenant = caller.tenant();
    db.tenant_tx(tenant, async |tx| {
        if account::delete(tx).await? {
            caller.record(tx, "account.deleted", format!("customer:{tenant}"), json!({})).await?;
        }
        Ok(NoContent)
    })
    .await
}

/// Restores a deleted account within 30 days. The subscription stays cancelled: a plan is bought again. A repetition changes
/// nothing. Once the purge has begun: 409 `purge_started`.
#[utoipa::path(
    post, path = "/api/v1/privacy/account/restore", tag = "privacy",
    responses((status = 200, body = Envelope<AccountState>), (status = 409)),
)]
async fn restore_account(caller: Caller<ReturningAccountUser>, State(db): State<Db>) -> Result<Data<AccountState>> {
    let tenant = caller.tenant();
    db.tenant_tx(tenant, async |tx| {
        if account::restore(tx).await? {
            caller.record(tx, "account.restored", format!("customer:{tenant}"), json!({})).await?;
        }
        Ok(Data(AccountState::active()))
    })
    .await
}

/// Deletes the caller's own account: the memberships, the password, the sessions and the profile. Messages and audit entries
/// keep the id. The owner of a company is refused: 409 `account_owner`.
#[utoipa::path(
    delete, path = "/api/v1/privacy/me", tag = "privacy",
    responses((status = 204), (status = 409)),
)]
async fn leave(caller: SignedInUser, State(deps): State<Deps>) -> Result<NoContent> {
    departure::leave(&deps.system, &deps.billing, caller.user, &caller.request_id).await?;
    Ok(NoContent)
}

/// The place at which an export goes on.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ContactExportParams {
    /// The value of `next` of the answer before.
    #[param(min_length = 1, pattern = "^[A-Za-z0-9_-]+$")]
    after: Option<String>,
}

/// Returns all that the company stores about one contact: the conversation, its messages, its orders and the rest. An answer
/// has about 2.5 MB; `next` is the parameter `after` of the next call.
#[utoipa::path(
    get, path = "/api/v1/privacy/contacts/{conversation_id}/export", tag = "privacy",
    params(("conversation_id" = Uuid, Path, description = "Identifier of the conversation"), ContactExportParams),
    responses((status = 200, body = Envelope<ContactExport>), (status = 404)),
)]
async fn export_contact(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Path(conversation): Path<Uuid>,
    Query(params): Query<ContactExportParams>,
) -> Result<Data<ContactExport>> {
    db.tenant_tx(caller.tenant(), async |tx| {
        let export = contacts::export(tx, conversation, params.after.as_deref()).await?;
        caller.record(tx, "contact.exported", format!("conversation:{conversation}"), json!({})).await?;
        Ok(Data(export))
    })
    .await
}

/// Deletes one contact at once: the conversation with its messages, what waits to be sent, feedback and activities, and the
/// name in its orders. A later message of the contact begins a new conversation. The deletion of thousands of messages may
/// be interrupted; a repetition goes on with it.
#[utoipa::path(
    delete, path = "/api/v1/privacy/contacts/{conversation_id}", tag = "privacy",
    params(("conversation_id" = Uuid, Path, description = "Identifier of the conversation")),
    responses((status = 204), (status = 404)),
)]
async fn delete_contact(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Path(conversation): Path<Uuid>,
) -> Result<NoContent> {
    let (object, mut deletion) = (format!("conversation:{conversation}"), ContactDeletion::default());
    loop {
        let step = db
            .tenant_tx(caller.tenant(), async |tx| {
                let step = contacts::delete(tx, conversation, &mut deletion).await?;
                let action = match step {
                    DeletionStep::Done => "contact.deleted",
                    DeletionStep::MessagesLeft { is_first: true } => "contact.deletion_begun",
                    DeletionStep::MessagesLeft { is_first: false } => return Ok(step),
                };
                caller.record(tx, action, object.clone(), json!({ "deleted": &deletion })).await?;
                Ok(step)
            })
            .await?;
        if matches!(step, DeletionStep::Done) {
            return Ok(NoContent);
        }
    }
}
