//! Endpoints: the types of their routes' bodies, their secrets, and the SQL of the table `webhook_endpoints`.

use std::{collections::BTreeSet, fmt};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    disabling::{DisableReason, disable, fail_pending},
    events::EventType,
    signing::generate_secret,
};
use crate::{
    audit::{self, NewAuditEntry},
    db::{SystemTx, TenantTx},
    error::ApiError,
    input,
    outbound::TenantUrl,
    paging::{List, Listing, Paging, list_page},
    sealed::KeyRing,
};

/// Maximum number of endpoints of a company.
pub const MAX_ENDPOINTS: i64 = 5;
/// Maximum length of an endpoint's description, in characters.
const MAX_DESCRIPTION_CHARS: usize = 200;
/// Default time, in seconds, for which the previous secret signs too after a rotation: a day.
const DEFAULT_GRACE_S: u32 = 24 * 60 * 60;
/// Maximum time, in seconds, for which the previous secret signs too after a rotation: a week.
const MAX_GRACE_S: u32 = 7 * 24 * 60 * 60;
/// Purpose under which the secret of an endpoint is sealed.
pub const SECRET_PURPOSE: &str = "webhook_signing_secret";

/// Description of an endpoint, 1 to 200 characters.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 200)]
struct EndpointDescription(String);

impl TryFrom<String> for EndpointDescription {
    type Error = input::UnusableText;

    fn try_from(text: String) -> Result<Self, input::UnusableText> {
        input::one_line(&text, 1, MAX_DESCRIPTION_CHARS).map(Self)
    }
}

/// An endpoint to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "url": "https://hooks.example.com/lisa", "description": "Order desk", "events": ["order.created", "order.updated"],
}))]
pub struct NewWebhookEndpoint {
    /// https URL at a public address, on port 443 or 8443. A company has one endpoint for a URL.
    #[schema(value_type = TenantUrl)]
    url: TenantUrl,
    #[serde(default)]
    description: Option<EndpointDescription>,
    /// Types of events that are sent; empty for all, those of later versions included.
    #[serde(default)]
    #[schema(value_type = Vec<EventType>)]
    events: BTreeSet<EventType>,
}

/// A change of an endpoint. Absent fields stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "enabled": true }))]
pub struct WebhookEndpointPatch {
    #[serde(default)]
    #[schema(value_type = Option<TenantUrl>)]
    url: Option<TenantUrl>,
    /// Null removes the description.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    description: Option<Option<EndpointDescription>>,
    /// Types of events that are sent; empty for all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<EventType>>)]
    events: Option<BTreeSet<EventType>>,
    /// False switches the endpoint off: its waiting deliveries fail, and events make no new ones. True switches it on
    /// again, also after the product has switched it off.
    #[serde(default)]
    enabled: Option<bool>,
}

/// An endpoint, without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "e7d6c5b4-a392-4817-9605-f4e3d2c1b0a9", "url": "https://hooks.example.com/lisa", "description": "Order desk",
    "events": ["order.created", "order.updated"], "enabled": true, "disabled_at": null, "disabled_reason": null,
    "failing_since": null, "previous_secret_expires_at": null, "created_at": "2026-11-23T09:30:06Z",
    "updated_at": "2026-11-23T09:30:06Z",
}))]
pub struct WebhookEndpoint {
    /// `webhook_endpoints.id`.
    pub id: Uuid,
    url: String,
    description: Option<String>,
    /// Types of events that are sent; empty for all.
    #[schema(value_type = Vec<EventType>)]
    events: Vec<String>,
    /// False when the endpoint is switched off.
    pub enabled: bool,
    disabled_at: Option<DateTime<Utc>>,
    /// `owner`; `gone` after an answer 410; `failing` after five days without a success.
    disabled_reason: Option<String>,
    /// Time of the first failure since the last success.
    failing_since: Option<DateTime<Utc>>,
    /// Time until which deliveries are signed with the previous secret, too.
    previous_secret_expires_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// An endpoint with its new secret, which is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "e7d6c5b4-a392-4817-9605-f4e3d2c1b0a9", "url": "https://hooks.example.com/lisa", "description": "Order desk",
    "events": ["order.created", "order.updated"], "enabled": true, "disabled_at": null, "disabled_reason": null,
    "failing_since": null, "previous_secret_expires_at": null, "created_at": "2026-11-23T09:30:06Z",
    "updated_at": "2026-11-23T09:30:06Z", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=",
}))]
pub struct WebhookEndpointWithSecret {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: WebhookEndpoint,
    /// Key of the signatures, as the libraries of Standard Webhooks take it.
    secret: String,
}

impl fmt::Debug for WebhookEndpointWithSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "WebhookEndpointWithSecret({}, …)", self.endpoint.id)
    }
}

/// Time in seconds for which the previous secret signs too, 0 to 604,800.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u32")]
struct GraceSeconds(u32);

impl Default for GraceSeconds {
    fn default() -> Self {
        Self(DEFAULT_GRACE_S)
    }
}

/// The error for a [`GraceSeconds`] over its maximum.
#[derive(Debug, thiserror::Error)]
#[error("must be between 0 and {MAX_GRACE_S}")]
struct GraceOutOfRange;

impl TryFrom<u32> for GraceSeconds {
    type Error = GraceOutOfRange;

    fn try_from(seconds: u32) -> Result<Self, GraceOutOfRange> {
        if seconds <= MAX_GRACE_S { Ok(Self(seconds)) } else { Err(GraceOutOfRange) }
    }
}

/// The rotation of a secret.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "previous_valid_s": 86400 }))]
pub struct SecretRotation {
    /// Seconds for which the present secret signs too; 0 ends it at once, with any secret before it.
    #[serde(default)]
    #[schema(value_type = u32, minimum = 0, maximum = 604_800, default = 86_400)]
    previous_valid_s: GraceSeconds,
}

/// The order of the list of endpoints.
#[derive(Debug)]
pub struct EndpointListing;

impl Listing for EndpointListing {
    const NAME: &'static str = "webhook-endpoints";
    const SORTS: &'static [&'static str] = &["created_at"];
}

/// Returns a page of the tenant's endpoints.
///
/// # Errors
/// 422 for a cursor of the wrong form; a database error.
pub async fn list(tx: &mut TenantTx, paging: &Paging) -> Result<List<WebhookEndpoint>, ApiError> {
    list_page!(tx, paging, WebhookEndpoint {
        select: r#"id, url, description, events, disabled_at is null as "enabled!", disabled_at, disabled_reason,
            failing_since, case when previous_secret_expires_at > now() then previous_secret_expires_at end
            as previous_secret_expires_at, created_at, updated_at"#,
        from: "webhook_endpoints where customer_id = $1",
        bind: [],
        order: ["created_at": "created_at" "timestamptz" DateTime<Utc> = created_at],
        id: "id" "uuid" Uuid = id,
    })
}

/// Returns one endpoint.
///
/// # Errors
/// 404 when there is no such endpoint; a database error.
pub async fn get(tx: &mut TenantTx, id: Uuid) -> Result<WebhookEndpoint, ApiError> {
    sqlx::query_as!(
        WebhookEndpoint,
        r#"
        select id, url, description, events, disabled_at is null as "enabled!", disabled_at, disabled_reason,
            failing_since, case when previous_secret_expires_at > now() then previous_secret_expires_at end
            as previous_secret_expires_at, created_at, updated_at
        from webhook_endpoints where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        id
    )
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| ApiError::not_found("webhook endpoint"))
}

/// An endpoint that stays as it is until the transaction ends.
#[derive(Debug)]
pub(super) struct LockedEndpoint {
    /// The URL, as it is stored.
    pub(super) url: String,
    /// False when the endpoint is switched off.
    pub(super) is_enabled: bool,
}

/// Locks an endpoint until the transaction ends. A transaction that changes or deletes several stored deliveries of a company
/// at work locks their endpoint first: each takes the rows in an order of its own. Triggers take no such lock: they write
/// new deliveries, and replace only what their own transaction wrote.
///
/// # Errors
/// 404 when there is no such endpoint; a database error.
pub(super) async fn lock(tx: &mut TenantTx, id: Uuid) -> Result<LockedEndpoint, ApiError> {
    sqlx::query_as!(
        LockedEndpoint,
        r#"
        select url, disabled_at is null as "is_enabled!" from webhook_endpoints
        where customer_id = $1 and id = $2
        for no key update
        "#,
        tx.tenant(),
        id
    )
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| ApiError::not_found("webhook endpoint"))
}

/// Locks all endpoints of the tenant as `lock` does, by id.
///
/// # Errors
/// A database error.
pub async fn lock_all(tx: &mut TenantTx) -> sqlx::Result<()> {
    sqlx::query!("select from webhook_endpoints where customer_id = $1 order by id for no key update", tx.tenant())
        .execute(tx)
        .await
        .map(drop)
}

/// Locks an endpoint as [`lock`] does, and refuses one that is switched off.
pub(super) async fn lock_enabled(tx: &mut TenantTx, id: Uuid) -> Result<(), ApiError> {
    if lock(tx, id).await?.is_enabled {
        return Ok(());
    }
    Err(ApiError::conflict("webhook_endpoint_disabled", "the endpoint is switched off: switch it on first"))
}

/// Converts the error of an insert or update of an endpoint: 409 `webhook_url_taken` for a URL that another endpoint
/// has.
fn write_error(error: sqlx::Error) -> ApiError {
    match error.as_database_error().and_then(|error| error.constraint()) {
        Some("webhook_endpoints_customer_id_url_key") => {
            ApiError::conflict("webhook_url_taken", "another endpoint of the company has this URL")
        }
        _ => error.into(),
    }
}

fn stored_events(events: &BTreeSet<EventType>) -> Vec<String> {
    events.iter().map(|event| event.as_str().to_owned()).collect()
}

/// Creates an endpoint with a new secret.
///
/// # Errors
/// 409 `too_many_webhook_endpoints` when the company has [`MAX_ENDPOINTS`], `webhook_url_taken` for a URL of another one;
/// a database error.
pub async fn create(
    tx: &mut TenantTx,
    keys: &KeyRing,
    new: &NewWebhookEndpoint,
) -> Result<WebhookEndpointWithSecret, ApiError> {
    // The lock makes simultaneous creations count one after the other.
    sqlx::query!("select from customers where id = $1 for no key update", tx.tenant()).execute(&mut *tx).await?;
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from webhook_endpoints where customer_id = $1"#,
        tx.tenant()
    );
    let count = count.fetch_one(&mut *tx).await?;
    if count >= MAX_ENDPOINTS {
        let message = "the company has as many webhook endpoints as it can have: delete one of them first";
        let details = json!({ "webhook_endpoints": count, "most": MAX_ENDPOINTS });
        return Err(ApiError::conflict("too_many_webhook_endpoints", message).with_details(details));
    }
    let secret = generate_secret();
    let (sealed, events) = (seal(tx, keys, &secret)?, stored_events(&new.events));
    let id = sqlx::query_scalar!(
        "insert into webhook_endpoints (customer_id, url, description, events, secret) values ($1, $2, $3, $4, $5) returning id",
        tx.tenant(),
        new.url.as_str(),
        new.description.as_ref().map(|description| description.0.as_str()),
        &events,
        sealed
    );
    let id = id.fetch_one(&mut *tx).await.map_err(write_error)?;
    Ok(WebhookEndpointWithSecret { endpoint: get(tx, id).await?, secret: secret.to_string() })
}

fn seal(tx: &TenantTx, keys: &KeyRing, secret: &str) -> Result<Vec<u8>, ApiError> {
    keys.seal(tx.tenant(), SECRET_PURPOSE, secret).map_err(|error| ApiError::internal().with_source(error))
}

/// Changes an endpoint, and returns it with the names of the fields that the patch has. Another URL begins as one that has
/// never failed.
///
/// # Errors
/// 404 when there is no such endpoint; 409 `webhook_url_taken`; a database error.
pub async fn change(
    tx: &mut TenantTx,
    id: Uuid,
    patch: &WebhookEndpointPatch,
) -> Result<(WebhookEndpoint, Vec<&'static str>), ApiError> {
    lock(tx, id).await?;
    let events = patch.events.as_ref().map(stored_events);
    let description = patch.description.as_ref().map(|text| text.as_ref().map(|text| text.0.as_str()));
    sqlx::query!(
        r#"
        update webhook_endpoints set
            url = coalesce($3, url),
            description = case when $4 then $5 else description end,
            events = coalesce($6, events),
            failing_since = case when $3 <> url then null else failing_since end,
            failed_batches = case when $3 <> url then 0 else failed_batches end,
            paused_until = case when $3 <> url then null else paused_until end,
            updated_at = clock_timestamp()
        where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        id,
        patch.url.as_ref().map(TenantUrl::as_str),
        description.is_some(),
        description.flatten(),
        events.as_deref()
    )
    .execute(&mut *tx)
    .await
    .map_err(write_error)?;
    match patch.enabled {
        Some(true) => enable(tx, id).await?,
        Some(false) => disable(tx, id, DisableReason::Owner).await?,
        None => {}
    }
    let fields = [
        ("url", patch.url.is_some()),
        ("description", patch.description.is_some()),
        ("events", patch.events.is_some()),
        ("enabled", patch.enabled.is_some()),
    ];
    let fields = fields.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect();
    Ok((get(tx, id).await?, fields))
}

/// Switches an endpoint on, and clears its failures and its pause. What is still pending from the time before is not sent
/// any more. Does nothing when the endpoint is on.
async fn enable(tx: &mut TenantTx, id: Uuid) -> sqlx::Result<()> {
    let changed = sqlx::query!(
        r#"
        update webhook_endpoints set
            disabled_at = null, disabled_reason = null, failing_since = null, failed_batches = 0, paused_until = null
        where customer_id = $1 and id = $2 and disabled_at is not null
        "#,
        tx.tenant(),
        id
    );
    if changed.execute(&mut *tx).await?.rows_affected() > 0 { fail_pending(tx, id).await } else { Ok(()) }
}

/// Deletes an endpoint with its deliveries.
///
/// # Errors
/// 404 when there is no such endpoint; a database error.
pub async fn delete(tx: &mut TenantTx, id: Uuid) -> Result<(), ApiError> {
    let deleted = sqlx::query!("delete from webhook_endpoints where customer_id = $1 and id = $2", tx.tenant(), id)
        .execute(tx)
        .await?;
    if deleted.rows_affected() == 0 { Err(ApiError::not_found("webhook endpoint")) } else { Ok(()) }
}

/// Gives an endpoint a new secret. The secret until now signs too, for the time that `rotation` says.
///
/// # Errors
/// 404 when there is no such endpoint; 409 `webhook_secret_rotating` while an older secret still signs, unless the rotation
/// ends both at once; a database error.
pub async fn rotate_secret(
    tx: &mut TenantTx,
    keys: &KeyRing,
    id: Uuid,
    rotation: &SecretRotation,
) -> Result<WebhookEndpointWithSecret, ApiError> {
    lock(tx, id).await?;
    let grace_s = rotation.previous_valid_s.0;
    let present = get(tx, id).await?;
    if let Some(end) = present.previous_secret_expires_at.filter(|_| grace_s > 0) {
        // A third secret would end one that a receiver may still have. A repeated click ends here, too.
        let message = "the secret before the present one still signs: wait for its end, or end both at once";
        let details = json!({ "previous_secret_expires_at": end });
        return Err(ApiError::conflict("webhook_secret_rotating", message).with_details(details));
    }
    let secret = generate_secret();
    let sealed = seal(tx, keys, &secret)?;
    sqlx::query!(
        r#"
        update webhook_endpoints set
            previous_secret = case when $4::float8 > 0 then secret end,
            previous_secret_expires_at = case when $4 > 0 then now() + make_interval(secs => $4) end,
            secret = $3, updated_at = clock_timestamp()
        where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        id,
        sealed,
        f64::from(grace_s)
    )
    .execute(&mut *tx)
    .await?;
    Ok(WebhookEndpointWithSecret { endpoint: get(tx, id).await?, secret: secret.to_string() })
}

/// Removes the previous secrets that no longer sign, and returns their number.
///
/// # Errors
/// A database error.
pub async fn remove_previous_secrets(tx: &mut SystemTx) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        update webhook_endpoints set previous_secret = null, previous_secret_expires_at = null
        where previous_secret_expires_at <= now()
        "#
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}

/// The sealed secrets of an endpoint, for the rotation of the sealing keys.
#[derive(Debug)]
pub struct SealedSecrets {
    /// `webhook_endpoints.id`.
    pub endpoint: Uuid,
    /// The tenant.
    pub customer_id: Uuid,
    /// The sealed secret.
    pub secret: Vec<u8>,
    /// The previous sealed secret, if it is still stored.
    pub previous_secret: Option<Vec<u8>>,
}

/// Returns the secrets of at most `limit` endpoints whose ids follow `after`, by id.
///
/// # Errors
/// A database error.
pub async fn sealed_secrets(tx: &mut SystemTx, after: Uuid, limit: i64) -> sqlx::Result<Vec<SealedSecrets>> {
    sqlx::query_as!(
        SealedSecrets,
        r#"
        select id as endpoint, customer_id, secret, previous_secret from webhook_endpoints
        where id > $1 order by id limit $2
        "#,
        after,
        limit
    )
    .fetch_all(tx)
    .await
}

/// Returns the secrets of an endpoint, and locks it until the transaction ends. `None` for one that is deleted.
///
/// # Errors
/// A database error.
pub async fn lock_sealed_secrets(tx: &mut SystemTx, endpoint: Uuid) -> sqlx::Result<Option<SealedSecrets>> {
    sqlx::query_as!(
        SealedSecrets,
        r#"
        select id as endpoint, customer_id, secret, previous_secret from webhook_endpoints
        where id = $1
        for no key update
        "#,
        endpoint
    )
    .fetch_optional(tx)
    .await
}

/// Writes the sealed secrets of an endpoint that [`lock_sealed_secrets`] has locked, and records it in the audit log.
///
/// # Errors
/// A database error.
pub async fn replace_sealed_secrets(tx: &mut SystemTx, resealed: &SealedSecrets) -> sqlx::Result<()> {
    sqlx::query!(
        "update webhook_endpoints set secret = $2, previous_secret = $3 where id = $1",
        resealed.endpoint,
        resealed.secret,
        resealed.previous_secret.as_deref()
    )
    .execute(&mut *tx)
    .await?;
    let entry = NewAuditEntry {
        actor: None,
        action: "key.resealed",
        object: format!("webhook_endpoint:{}", resealed.endpoint),
        request_id: None,
        details: json!({ "key": SECRET_PURPOSE }),
    };
    audit::record_for(tx, Some(resealed.customer_id), &entry).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_previous_secret_has_a_default_and_a_maximum() {
        let read = |body| serde_json::from_value::<SecretRotation>(body).map(|rotation| rotation.previous_valid_s.0);
        assert_eq!(read(json!({})).unwrap(), 86_400);
        assert_eq!(read(json!({ "previous_valid_s": 0 })).unwrap(), 0);
        assert_eq!(read(json!({ "previous_valid_s": 604_800 })).unwrap(), 604_800);
        assert!(read(json!({ "previous_valid_s": 604_801 })).is_err());
        assert!(read(json!({ "previous_valid_s": -1 })).is_err());
    }

    #[test]
    fn an_endpoint_names_known_events_once_each() {
        let read = |body| serde_json::from_value::<NewWebhookEndpoint>(body);
        let new = read(json!({
            "url": "https://hooks.example.com/in", "events": ["order.updated", "order.created", "order.updated"],
        }));
        assert_eq!(stored_events(&new.unwrap().events), ["order.created", "order.updated"]);
        assert!(read(json!({ "url": "https://hooks.example.com/in" })).unwrap().events.is_empty());
        for body in [
            json!({ "url": "https://hooks.example.com/in", "events": ["webhook.test"] }),
            json!({ "url": "http://hooks.example.com/in" }),
            json!({ "url": "https://127.0.0.1/in" }),
            json!({ "url": "https://hooks.example.com/in", "secret": "whsec_x" }),
        ] {
            assert!(read(body.clone()).is_err(), "{body}");
        }
    }
}
