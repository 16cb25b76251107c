//! Routes of the orders for people of the company: list, show, make, change and delete.

use std::time::Duration;

use axum::{
    extract::{FromRef, State},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;
use shared::{
    activities::{self, Activity, ActivityStatus},
    auth::{AuditedRead, Caller, SupportUser, VerificationKeys},
    conversations, customer_texts,
    db::{Db, TenantTx},
    error::Result,
    function::{Function, HttpFunction},
    http::{Created, Data, Envelope, Json, NoContent, Path, Query},
    idempotency::{self, IdempotencyKey, IdempotencyOutcome},
    jobs::ReplyMessage,
    orders::{self, CustomerNotice, NewOrder, OrderDetails, OrderFilter, OrderListing, OrderPatch, OrderStatus},
    paging::{List, ListParams, ListParamsOf},
    queue::Queue,
    rate_limits::RateLimits,
    routes,
    settings::Settings,
    usage::{self, UsageDelta},
    webhook_endpoints,
};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// The `orders` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Dependencies of the function.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
    reply_queue: Queue,
    #[from_ref(skip)]
    webhook_queue: Queue,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "orders";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self {
            limits: RateLimits::read(settings, &db),
            db,
            keys: VerificationKeys::read(settings),
            reply_queue: Queue::read(settings, "REPLY_QUEUE_URL"),
            webhook_queue: Queue::read(settings, "WEBHOOK_QUEUE_URL"),
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, change, delete))
    }
}

/// Returns a page of the orders, newest first unless another order is given.
#[utoipa::path(
    get, path = "/api/v1/orders", tag = "orders", params(OrderFilter, ListParamsOf<OrderListing>),
    responses((status = 200, body = List<OrderDetails>)),
)]
async fn list(
    caller: Caller<SupportUser>,
    State(db): State<Db>,
    Query(filter): Query<OrderFilter>,
    Query(params): Query<ListParams>,
) -> Result<List<OrderDetails>> {
    let paging = params.validate::<OrderListing>()?;
    let read = AuditedRead::of_tenant("orders.read");
    caller.read_tx(&db, read, async |tx| orders::list(tx, &filter, &paging).await).await
}

/// Returns one order.
#[utoipa::path(
    get, path = "/api/v1/orders/{id}", tag = "orders", params(("id" = Uuid, Path)),
    responses((status = 200, body = Envelope<OrderDetails>)),
)]
async fn show(caller: Caller<SupportUser>, State(db): State<Db>, Path(id): Path<Uuid>) -> Result<Data<OrderDetails>> {
    let read = AuditedRead::of("order.read", "order", id);
    caller.read_tx(&db, read, async |tx| orders::get(tx, id).await.map(Data)).await
}

/// An order after a change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "3f1d2c4b-0c7e-4a53-8a4e-5d2f9b1c5a69", "number": "3F1D2C4B", "conversation_id": null, "customer_name": "Awa Koné",
    "status": "pending", "items": [{ "product_id": null, "name": "Café moulu 250 g", "quantity": 2, "unit_price": "2500" }],
    "total_amount": "5000", "currency": "XOF", "needs_review": false,
    "created_at": "2026-11-23T09:30:06Z", "updated_at": "2026-11-23T09:30:06Z", "customer_notice": null,
}))]
struct ChangedOrder {
    #[serde(flatten)]
    order: OrderDetails,
    /// Outcome of the message to the customer; null when none was asked for.
    #[schema(required)]
    customer_notice: Option<CustomerNotice>,
}

/// Makes an order, which is `pending`. Prices of products come from the catalogue unless the request names others. With an
/// `Idempotency-Key`, a repeated request returns the first response and makes nothing.
#[utoipa::path(
    post, path = "/api/v1/orders", tag = "orders", request_body = NewOrder,
    params((
        "Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, description = "Kept for 24 hours",
    )),
    responses((status = 201, body = Envelope<ChangedOrder>), (status = 404), (status = 409)),
)]
async fn create(
    caller: Caller<SupportUser>,
    State(deps): State<Deps>,
    key: IdempotencyKey,
    Json(order): Json<NewOrder>,
) -> Result<Response> {
    let db = &deps.db;
    let (notified, response) =
        webhook_endpoints::tenant_tx_with_events(db, &deps.webhook_queue, caller.tenant(), async |tx| {
            let claim = match idempotency::begin(tx, key, "/api/v1/orders", &order).await? {
                IdempotencyOutcome::Replay(replay) => return Ok((None, replay.into_response())),
                IdempotencyOutcome::Run(claim) => claim,
            };
            let changed = create_order(tx, &caller, &order).await?;
            let notified = changed.notified_conversation();
            let answer = Envelope { success: true, data: changed };
            claim.finish(tx, 201, &answer).await?;
            Ok((notified, Created(answer.data).into_response()))
        })
        .await?;
    deps.wake_reply_worker(&caller, notified).await;
    Ok(response)
}

/// Changes an order. Its status moves from `pending` to `confirmed`, `preparing` and `delivered`, and to `cancelled` before
/// delivery; 409 `wrong_order_step` otherwise, with the allowed statuses in `details`. Revenue counts from `confirmed` on,
/// and comes off at `cancelled`. `customer_notice` in the response says whether the customer is told.
#[utoipa::path(
    patch, path = "/api/v1/orders/{id}", tag = "orders", params(("id" = Uuid, Path)), request_body = OrderPatch,
    responses((status = 200, body = Envelope<ChangedOrder>), (status = 409)),
)]
async fn change(
    caller: Caller<SupportUser>,
    State(deps): State<Deps>,
    Path(id): Path<Uuid>,
    Json(patch): Json<OrderPatch>,
) -> Result<Data<ChangedOrder>> {
    let db = &deps.db;
    let change = async |tx: &mut TenantTx| change_order(tx, &caller, id, &patch).await;
    let changed = webhook_endpoints::tenant_tx_with_events(db, &deps.webhook_queue, caller.tenant(), change).await?;
    deps.wake_reply_worker(&caller, changed.notified_conversation()).await;
    Ok(Data(changed))
}

/// Deletes an order that is pending or cancelled; 409 `order_in_progress` otherwise.
#[utoipa::path(
    delete, path = "/api/v1/orders/{id}", tag = "orders", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 409)),
)]
async fn delete(caller: Caller<SupportUser>, State(db): State<Db>, Path(id): Path<Uuid>) -> Result<NoContent> {
    db.tenant_tx(caller.tenant(), async |tx| {
        let conversation = orders::delete(tx, id).await?;
        record(tx, &caller, (id, conversation), "order_deleted", "An order was deleted", ActivityStatus::Warning)
            .await?;
        Ok(NoContent)
    })
    .await
}

/// Makes an order, tells its customer where asked, records the activity and counts the order.
async fn create_order(tx: &mut TenantTx, caller: &Caller<SupportUser>, new: &NewOrder) -> Result<ChangedOrder> {
    let obstacle = match new.notify_customer {
        true => CustomerNotice::obstacle(tx, new.conversation_id).await?,
        false => None,
    };
    let order = orders::create_by_company(tx, new).await?;
    let mut customer_notice = obstacle;
    if let Some(conversation) = order.conversation_id.filter(|_| new.notify_customer && obstacle.is_none()) {
        let language = conversations::language(tx, conversation).await?;
        let placed = orders::lock(tx, order.id).await?;
        orders::notify(tx, conversation, &customer_texts::ordered(&placed, order.needs_review, language)).await?;
        customer_notice = Some(CustomerNotice::Queued);
    }
    let severity = if order.needs_review { ActivityStatus::Warning } else { ActivityStatus::Success };
    let subject = (order.id, order.conversation_id);
    record(tx, caller, subject, "order_created", "A person of the company has made an order", severity).await?;
    usage::add(tx, &UsageDelta { orders: 1, ..UsageDelta::default() }).await?;
    Ok(ChangedOrder { order, customer_notice })
}

/// Changes an order, tells its customer where asked, and records an activity for each kind of change.
async fn change_order(
    tx: &mut TenantTx,
    caller: &Caller<SupportUser>,
    id: Uuid,
    patch: &OrderPatch,
) -> Result<ChangedOrder> {
    let order = orders::edit(tx, id, patch).await?;
    let mut customer_notice = None;
    if patch.notify_customer && (patch.status.is_some() || patch.replaces_items()) {
        customer_notice = match CustomerNotice::obstacle(tx, order.conversation_id).await? {
            None => Some(tell_customer(tx, &order, patch).await?),
            obstacle => obstacle,
        };
    }
    let subject = (order.id, order.conversation_id);
    if patch.changes_content() {
        let title = "A person of the company has changed an order";
        record(tx, caller, subject, "order_changed", title, ActivityStatus::Info).await?;
    }
    if let Some(status) = patch.status {
        let (kind, title, severity) = status_activity(status);
        record(tx, caller, subject, kind, title, severity).await?;
    }
    Ok(ChangedOrder { order, customer_notice })
}

/// Writes the message about a change to the contact of an order's conversation, which is locked.
async fn tell_customer(tx: &mut TenantTx, order: &OrderDetails, patch: &OrderPatch) -> Result<CustomerNotice> {
    let Some(conversation) = order.conversation_id else { return Ok(CustomerNotice::NoConversation) };
    let language = conversations::language(tx, conversation).await?;
    let changed = orders::lock(tx, order.id).await?;
    let items = patch.replaces_items().then(|| customer_texts::changed(&changed, language));
    let status = patch.status.map(|status| orders::status_message(&changed.number(), status, language));
    let text = items.into_iter().chain(status).collect::<Vec<_>>().join("\n");
    orders::notify(tx, conversation, &text).await?;
    Ok(CustomerNotice::Queued)
}

/// Type, title and severity of the activity for a new status.
const fn status_activity(status: OrderStatus) -> (&'static str, &'static str, ActivityStatus) {
    match status {
        OrderStatus::Pending => ("order_pending", "An order waits for confirmation", ActivityStatus::Info),
        OrderStatus::Confirmed => ("order_confirmed", "An order is confirmed", ActivityStatus::Success),
        OrderStatus::Preparing => ("order_preparing", "An order is being prepared", ActivityStatus::Info),
        OrderStatus::Delivered => ("order_delivered", "An order is delivered", ActivityStatus::Success),
        OrderStatus::Cancelled => ("order_cancelled", "An order is cancelled", ActivityStatus::Warning),
    }
}

/// Records an activity of an order, which `subject` names with its conversation.
async fn record(
    tx: &mut TenantTx,
    caller: &Caller<SupportUser>,
    (order, conversation): (Uuid, Option<Uuid>),
    kind: &'static str,
    title: &'static str,
    status: ActivityStatus,
) -> Result<()> {
    let metadata = json!({ "order_id": order, "user_id": caller.user });
    activities::record(tx, &Activity { kind, title, status, conversation, metadata }).await?;
    Ok(())
}

impl ChangedOrder {
    /// Returns the conversation whose contact is notified.
    fn notified_conversation(&self) -> Option<Uuid> {
        self.order.conversation_id.filter(|_| self.customer_notice == Some(CustomerNotice::Queued))
    }
}

impl Deps {
    /// Wakes the reply worker for the conversation whose contact is notified, if there is one.
    async fn wake_reply_worker(&self, caller: &Caller<SupportUser>, conversation: Option<Uuid>) {
        let Some(conversation_id) = conversation else { return };
        let message = ReplyMessage { customer_id: caller.tenant(), conversation_id, message_id: None };
        conversations::wake_reply_worker(&self.db, &self.reply_queue, &message, Duration::ZERO).await;
    }
}
