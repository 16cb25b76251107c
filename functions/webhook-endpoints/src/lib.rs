//! Routes of outgoing webhooks for the company's owner: endpoints, their secrets, the test event, deliveries and replay.

use axum::extract::{FromRef, State};
use serde_json::{Value, json};
use shared::{
    auth::{AccountUser, Caller, VerificationKeys},
    db::{Db, TenantTx},
    error::Result,
    function::{Function, HttpFunction},
    http::{Created, Data, Envelope, Json, NoContent, Path, Query},
    jobs::WebhookMessage,
    paging::{List, ListParams, ListParamsOf},
    queue::Queue,
    rate_limits::RateLimits,
    routes,
    sealed::KeyRing,
    settings::Settings,
    webhook_endpoints::{
        self, DeliveryListing, EndpointListing, NewWebhookEndpoint, Replay, ReplayedDeliveries, SecretRotation,
        WebhookDelivery, WebhookEndpoint, WebhookEndpointPatch, WebhookEndpointWithSecret,
    },
};
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// The `webhook-endpoints` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Dependencies of the function.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
    sealing_keys: KeyRing,
    webhook_queue: Queue,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "webhook-endpoints";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self {
            limits: RateLimits::read(settings, &db),
            db,
            keys: VerificationKeys::read(settings),
            sealing_keys: KeyRing::read(settings),
            webhook_queue: Queue::read(settings, "WEBHOOK_QUEUE_URL"),
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new()
            .routes(routes!(list, create))
            .routes(routes!(show, change, remove))
            .routes(routes!(rotate_secret))
            .routes(routes!(send_test))
            .routes(routes!(replay))
            .routes(routes!(list_deliveries))
    }
}

/// Returns the company's endpoints, at most five, newest first.
#[utoipa::path(
    get, path = "/api/v1/webhook-endpoints", tag = "webhook-endpoints", params(ListParamsOf<EndpointListing>),
    responses((status = 200, body = List<WebhookEndpoint>)),
)]
async fn list(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Query(params): Query<ListParams>,
) -> Result<List<WebhookEndpoint>> {
    let paging = params.validate::<EndpointListing>()?;
    db.tenant_tx(caller.tenant(), async |tx| webhook_endpoints::list(tx, &paging).await).await
}

/// Creates an endpoint and returns its secret, this once. Events are sent to it from now on. 409
/// `too_many_webhook_endpoints` when the company has five, `webhook_url_taken` when one of them has the URL.
#[utoipa::path(
    post, path = "/api/v1/webhook-endpoints", tag = "webhook-endpoints", request_body = NewWebhookEndpoint,
    responses((status = 201, body = Envelope<WebhookEndpointWithSecret>), (status = 409)),
)]
async fn create(
    caller: Caller<AccountUser>,
    State(deps): State<Deps>,
    Json(new): Json<NewWebhookEndpoint>,
) -> Result<Created<WebhookEndpointWithSecret>> {
    deps.db
        .tenant_tx(caller.tenant(), async |tx| {
            let created = webhook_endpoints::create(tx, &deps.sealing_keys, &new).await?;
            audit_change(tx, &caller, "webhook_endpoint.created", created.endpoint.id, json!({})).await?;
            Ok(Created(created))
        })
        .await
}

/// Returns one endpoint.
#[utoipa::path(
    get, path = "/api/v1/webhook-endpoints/{id}", tag = "webhook-endpoints", params(("id" = Uuid, Path)),
    responses((status = 200, body = Envelope<WebhookEndpoint>)),
)]
async fn show(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Path(id): Path<Uuid>,
) -> Result<Data<WebhookEndpoint>> {
    db.tenant_tx(caller.tenant(), async |tx| webhook_endpoints::get(tx, id).await.map(Data)).await
}

/// Changes an endpoint, or switches it off or on. Deliveries that wait when it is switched off fail, and can be replayed.
#[utoipa::path(
    patch, path = "/api/v1/webhook-endpoints/{id}", tag = "webhook-endpoints", params(("id" = Uuid, Path)),
    request_body = WebhookEndpointPatch,
    responses((status = 200, body = Envelope<WebhookEndpoint>), (status = 409)),
)]
async fn change(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Path(id): Path<Uuid>,
    Json(patch): Json<WebhookEndpointPatch>,
) -> Result<Data<WebhookEndpoint>> {
    db.tenant_tx(caller.tenant(), async |tx| {
        let (changed, fields) = webhook_endpoints::change(tx, id, &patch).await?;
        audit_change(tx, &caller, "webhook_endpoint.changed", id, json!({ "fields": fields })).await?;
        Ok(Data(changed))
    })
    .await
}

/// Deletes an endpoint with its deliveries. What waits is not sent any more.
#[utoipa::path(
    delete, path = "/api/v1/webhook-endpoints/{id}", tag = "webhook-endpoints", params(("id" = Uuid, Path)),
    responses((status = 204)),
)]
async fn remove(caller: Caller<AccountUser>, State(db): State<Db>, Path(id): Path<Uuid>) -> Result<NoContent> {
    db.tenant_tx(caller.tenant(), async |tx| {
        webhook_endpoints::delete(tx, id).await?;
        audit_change(tx, &caller, "webhook_endpoint.deleted", id, json!({})).await?;
        Ok(NoContent)
    })
    .await
}

/// Gives an endpoint a new secret and returns it, this once. For a day, or as long as the request says, each delivery is
/// signed with the previous secret, too. 409 `webhook_secret_rotating` while a secret before it still signs.
#[utoipa::path(
    post, path = "/api/v1/webhook-endpoints/{id}/secret", tag = "webhook-endpoints", params(("id" = Uuid, Path)),
    request_body = SecretRotation,
    responses((status = 201, body = Envelope<WebhookEndpointWithSecret>), (status = 409)),
)]
async fn rotate_secret(
    caller: Caller<AccountUser>,
    State(deps): State<Deps>,
    Path(id): Path<Uuid>,
    Json(rotation): Json<SecretRotation>,
) -> Result<Created<WebhookEndpointWithSecret>> {
    deps.db
        .tenant_tx(caller.tenant(), async |tx| {
            let rotated = webhook_endpoints::rotate_secret(tx, &deps.sealing_keys, id, &rotation).await?;
            audit_change(tx, &caller, "webhook_endpoint.secret_rotated", id, json!({})).await?;
            Ok(Created(rotated))
        })
        .await
}

/// Sends an event of the type `webhook.test` to an endpoint, and returns its delivery. 409 `webhook_endpoint_disabled` when
/// the endpoint is switched off.
#[utoipa::path(
    post, path = "/api/v1/webhook-endpoints/{id}/test", tag = "webhook-endpoints", params(("id" = Uuid, Path)),
    responses((status = 201, body = Envelope<WebhookDelivery>), (status = 409)),
)]
async fn send_test(
    caller: Caller<AccountUser>,
    State(deps): State<Deps>,
    Path(id): Path<Uuid>,
) -> Result<Created<WebhookDelivery>> {
    let send = async |tx: &mut TenantTx| webhook_endpoints::send_test(tx, id).await;
    let delivery = deps.db.tenant_tx(caller.tenant(), send).await?;
    deps.wake_worker(&caller, id).await;
    Ok(Created(delivery))
}

/// Sends the deliveries of an endpoint that failed since a time again, the oldest first, at most 1,000. Each keeps the id of
/// its event. 409 `webhook_endpoint_disabled` when the endpoint is switched off.
#[utoipa::path(
    post, path = "/api/v1/webhook-endpoints/{id}/replay", tag = "webhook-endpoints", params(("id" = Uuid, Path)),
    request_body = Replay,
    responses((status = 200, body = Envelope<ReplayedDeliveries>), (status = 409)),
)]
async fn replay(
    caller: Caller<AccountUser>,
    State(deps): State<Deps>,
    Path(id): Path<Uuid>,
    Json(replay): Json<Replay>,
) -> Result<Data<ReplayedDeliveries>> {
    let replayed = deps
        .db
        .tenant_tx(caller.tenant(), async |tx| {
            let replayed = webhook_endpoints::replay(tx, id, &replay).await?;
            let details = json!({ "deliveries": replayed.replayed });
            audit_change(tx, &caller, "webhook_endpoint.replayed", id, details).await?;
            Ok(replayed)
        })
        .await?;
    if replayed.replayed > 0 {
        deps.wake_worker(&caller, id).await;
    }
    Ok(Data(replayed))
}

/// Returns a page of an endpoint's deliveries of the last 30 days, newest first.
#[utoipa::path(
    get, path = "/api/v1/webhook-endpoints/{id}/deliveries", tag = "webhook-endpoints",
    params(("id" = Uuid, Path), ListParamsOf<DeliveryListing>),
    responses((status = 200, body = List<WebhookDelivery>)),
)]
async fn list_deliveries(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Path(id): Path<Uuid>,
    Query(params): Query<ListParams>,
) -> Result<List<WebhookDelivery>> {
    let paging = params.validate::<DeliveryListing>()?;
    db.tenant_tx(caller.tenant(), async |tx| webhook_endpoints::list_deliveries(tx, id, &paging).await).await
}

impl Deps {
    /// Sends the queue message of an endpoint. Maintenance sends it when the queue does not take it.
    async fn wake_worker(&self, caller: &Caller<AccountUser>, endpoint_id: Uuid) {
        let message = WebhookMessage { customer_id: caller.tenant(), endpoint_id };
        webhook_endpoints::wake_worker(&self.webhook_queue, &[message]).await;
    }
}

/// Writes an audit entry about a change of an endpoint.
async fn audit_change(
    tx: &mut TenantTx,
    caller: &Caller<AccountUser>,
    action: &'static str,
    endpoint: Uuid,
    details: Value,
) -> Result<()> {
    Ok(caller.record(tx, action, format!("webhook_endpoint:{endpoint}"), details).await?)
}
