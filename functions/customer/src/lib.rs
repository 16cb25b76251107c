//! The company: what it is called and where it is, its ManyChat key, and the secrets of its webhook.

use std::time::Duration;

use axum::extract::{FromRef, State};
use serde_json::{Value, json};
use shared::{
    audit,
    auth::{AccountUser, Caller, VerificationKeys},
    db::{Db, TenantTx},
    error::{ApiError, Result},
    function::{Function, HttpFunction},
    http::{Created, Data, Envelope, Json},
    manychat::{KeyError, ManyChat},
    rate_limits::RateLimits,
    routes,
    sealed::KeyRing,
    settings::Settings,
    tenants::{self, CustomerDetails, CustomerPatch, ManyChatKey, NewKey, NewWebhookSecret},
};
use utoipa_axum::router::OpenApiRouter;

/// The function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Time to put a new webhook secret into the bot: a day.
const GRACE_S: u64 = 24 * 60 * 60;

/// What it needs.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
    manychat: ManyChat,
    sealing_keys: KeyRing,
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
            grace: settings.seconds("WEBHOOK_SECRET_GRACE_S", GRACE_S),
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(show, change)).routes(routes!(new_webhook_secret))
    }
}

/// The company, and what it is connected with.
#[utoipa::path(
    get, path = "/api/v1/customers/me", tag = "customer",
    responses((status = 200, body = Envelope<CustomerDetails>)),
)]
async fn show(caller: Caller<AccountUser>, State(db): State<Db>) -> Result<Data<CustomerDetails>> {
    db.tenant(caller.tenant(), async |tx| Ok::<_, ApiError>(Data(tenants::details(tx).await?))).await
}

/// Changes the company. A ManyChat key is tried first: 422 when ManyChat does not take it, 503 when ManyChat cannot be
/// asked, and nothing is changed.
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
        Some(Some(key)) => Some(deps.tried_and_sealed(&caller, key).await?),
        Some(None) | None => None,
    };
    deps.db
        .tenant(caller.tenant(), async |tx| {
            let mut fields = tenants::change(tx, &patch, key.as_ref()).await?;
            if let Some(at) = fields.iter().position(|field| *field == tenants::MANYCHAT_KEY) {
                let action = if key.is_some() { "key.changed" } else { "key.removed" };
                note(tx, &caller, action, json!({ "key": fields.remove(at) })).await?;
            }
            if !fields.is_empty() {
                note(tx, &caller, "customer.changed", json!({ "fields": fields })).await?;
            }
            Ok::<_, ApiError>(Data(tenants::details(tx).await?))
        })
        .await
}

/// Makes a new secret for the webhook, and shows it this once. The one before works for a day more (a setting), so that
/// the bot can be changed meanwhile; one that is older still ends now.
#[utoipa::path(
    post, path = "/api/v1/customers/me/webhook-secret", tag = "customer",
    responses((status = 201, body = Envelope<NewWebhookSecret>)),
)]
async fn new_webhook_secret(
    caller: Caller<AccountUser>,
    State(deps): State<Deps>,
) -> Result<Created<NewWebhookSecret>> {
    deps.db
        .tenant(caller.tenant(), async |tx| {
            let secret = tenants::rotate_webhook_secret(tx, deps.grace).await?;
            note(tx, &caller, "webhook_secret.created", json!({ "webhook_secret_id": secret.id })).await?;
            Ok::<_, ApiError>(Created(secret))
        })
        .await
}

impl Deps {
    /// Asks ManyChat about a key, outside of any transaction, and seals it.
    async fn tried_and_sealed(&self, caller: &Caller<AccountUser>, key: &ManyChatKey) -> Result<NewKey> {
        match self.manychat.try_key(key.expose()).await {
            Ok(()) => {}
            Err(KeyError::Invalid) => {
                return Err(ApiError::field("manychat_api_key", "is not a key that ManyChat takes"));
            }
            Err(error @ KeyError::Unavailable(_)) => return Err(ApiError::unavailable().because(error)),
        }
        NewKey::seal(&self.sealing_keys, caller.tenant(), key).map_err(|error| ApiError::internal().because(error))
    }
}

/// Writes what was done to the company into its audit log.
async fn note(tx: &mut TenantTx, caller: &Caller<AccountUser>, action: &'static str, details: Value) -> Result<()> {
    let entry = audit::Entry {
        actor: Some(caller.user),
        action,
        object: format!("customer:{}", caller.tenant()),
        request_id: Some(&caller.request_id),
        details,
    };
    Ok(audit::record(tx, &entry).await?)
}
