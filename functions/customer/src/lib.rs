//! Routes of the company's own record: its details, its ManyChat key and its webhook secrets.

use std::time::Duration;

use axum::{
    extract::{FromRef, State},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use shared::{
    auth::{AccountUser, Caller, VerificationKeys},
    conversations,
    db::{Db, TenantTx},
    error::{ApiError, Result},
    function::{Function, HttpFunction},
    http::{Created, Data, Envelope, Json},
    manychat::{KeyError, ManyChat},
    rate_limits::RateLimits,
    routes,
    sealed::KeyRing,
    settings::Settings,
    tenants::{self, CustomerDetails, CustomerPatch, ManyChatKey, NewManyChatKey, NewWebhookSecret, RotationOutcome},
};
use utoipa_axum::router::OpenApiRouter;

/// The `customer` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Default time, in seconds, for which an old webhook secret stays valid: a day, to put the new one into the bot.
const DEFAULT_GRACE_S: u64 = 24 * 60 * 60;

/// Dependencies of the function.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
    manychat: ManyChat,
    sealing_keys: KeyRing,
    /// Time for which the previous webhook secret stays valid.
    grace: Duration,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "customer";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self {
            limits: RateLimits::read(settings, &db),
            db,
            keys: VerificationKeys::read(settings),
            manychat: ManyChat::read(settings),
            sealing_keys: KeyRing::read(settings),
            grace: settings.seconds("WEBHOOK_SECRET_GRACE_S", DEFAULT_GRACE_S),
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(show, change)).routes(routes!(new_webhook_secret))
    }
}

/// Returns the company's details and connections.
#[utoipa::path(
    get, path = "/api/v1/customers/me", tag = "customer",
    responses((status = 200, body = Envelope<CustomerDetails>)),
)]
async fn show(caller: Caller<AccountUser>, State(db): State<Db>) -> Result<Data<CustomerDetails>> {
    db.tenant_tx(caller.tenant(), async |tx| Ok(Data(tenants::details(tx).await?))).await
}

/// Changes the company's details. A ManyChat key is verified first: 422 when ManyChat rejects it, 503 when ManyChat
/// is not reachable; then nothing is changed.
#[utoipa::path(
    patch, path = "/api/v1/customers/me", tag = "customer", request_body = CustomerPatch,
    responses((status = 200, body = Envelope<CustomerDetails>)),
)]
async fn change(
    caller: Caller<AccountUser>,
    State(deps): State<Deps>,
    Json(patch): Json<CustomerPatch>,
) -> Result<Data<CustomerDetails>> {
    let key = match &patch.manychat_api_key {
        Some(Some(key)) => Some(deps.verify_and_seal(&caller, key).await?),
        Some(None) | None => None,
    };
    deps.db
        .tenant_tx(caller.tenant(), async |tx| {
            let mut fields = tenants::change(tx, caller.user, &patch, key.as_ref()).await?;
            if key.is_some() {
                conversations::queue_waiting(tx).await?;
            }
            if let Some(at) = fields.iter().position(|field| *field == tenants::MANYCHAT_KEY_PURPOSE) {
                let action = if key.is_some() { "key.changed" } else { "key.removed" };
                audit_change(tx, &caller, action, json!({ "key": fields.remove(at) })).await?;
            }
            if !fields.is_empty() {
                audit_change(tx, &caller, "customer.changed", json!({ "fields": fields })).await?;
            }
            Ok(Data(tenants::details(tx).await?))
        })
        .await
}

/// Creates a new webhook secret and returns it, this once. The previous secret stays valid for one more day (a
/// setting), so that the bot can be changed meanwhile. Older secrets end when it was said that they end: another call
/// ends none of them earlier. At most ten are valid at once; then 409 `too_many_webhook_secrets`.
///
/// A repeated click changes nothing: within a minute of the creation of a secret, the answer is 200 with that secret.
#[utoipa::path(
    post, path = "/api/v1/customers/me/webhook-secret", tag = "customer",
    responses(
        (status = 201, description = "Created", body = Envelope<NewWebhookSecret>),
        (status = 200, description = "Created less than a minute ago", body = Envelope<NewWebhookSecret>),
        (status = 409),
    ),
)]
async fn new_webhook_secret(caller: Caller<AccountUser>, State(deps): State<Deps>) -> Result<Response> {
    deps.db
        .tenant_tx(caller.tenant(), async |tx| {
            Ok(match tenants::rotate_webhook_secret(tx, &deps.sealing_keys, deps.grace).await? {
                RotationOutcome::Created(secret) => {
                    let details = json!({ "webhook_secret_id": secret.id });
                    audit_change(tx, &caller, "webhook_secret.created", details).await?;
                    Created(secret).into_response()
                }
                RotationOutcome::Repeated(secret) => Data(secret).into_response(),
            })
        })
        .await
}

impl Deps {
    /// Verifies a ManyChat key with ManyChat, outside of any transaction, and seals it.
    async fn verify_and_seal(&self, caller: &Caller<AccountUser>, key: &ManyChatKey) -> Result<NewManyChatKey> {
        match self.manychat.verify_key(key.expose()).await {
            Ok(()) => {}
            Err(KeyError::Invalid) => {
                return Err(ApiError::field("manychat_api_key", "is not a key that ManyChat takes"));
            }
            Err(error @ KeyError::Unavailable(_)) => return Err(ApiError::unavailable().with_source(error)),
        }
        NewManyChatKey::seal(&self.sealing_keys, caller.tenant(), key)
            .map_err(|error| ApiError::internal().with_source(error))
    }
}

/// Writes an audit entry about a change of the company.
async fn audit_change(
    tx: &mut TenantTx,
    caller: &Caller<AccountUser>,
    action: &'static str,
    details: Value,
) -> Result<()> {
    Ok(caller.record(tx, action, format!("customer:{}", caller.tenant()), details).await?)
}
