//! The status of an order: its steps, and the messages to the contact about them.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{
    Order,
    revenue::{add_revenue, lock_counted_revenue},
};
use crate::{
    conversations,
    db::TenantTx,
    error::ApiError,
    messages::{self, Author, NewMessage},
    text::Language,
};

/// The status of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Confirmed by its contact, not yet by the company.
    Pending,
    /// Accepted by the company.
    Confirmed,
    /// In preparation.
    Preparing,
    /// Delivered to the customer.
    Delivered,
    /// Cancelled by the contact or the company.
    Cancelled,
}

impl OrderStatus {
    /// All statuses, in their order.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Confirmed, Self::Preparing, Self::Delivered, Self::Cancelled];

    /// Returns the value of `orders.status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Preparing => "preparing",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
        }
    }

    /// Returns the statuses from which an order may change to this one.
    const fn predecessors(self) -> &'static [&'static str] {
        match self {
            Self::Pending => &[],
            Self::Confirmed => &["pending"],
            Self::Preparing => &["confirmed"],
            Self::Delivered => &["preparing"],
            Self::Cancelled => &["pending", "confirmed", "preparing"],
        }
    }
}

/// The reason for which an order's status was not changed.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// There is no such order.
    #[error("no such order")]
    NotFound,
    /// The order's present status does not allow the change.
    #[error("the order is {0}")]
    InvalidTransition(String),
    /// A database error.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<OrderError> for ApiError {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::NotFound => Self::not_found("order"),
            OrderError::InvalidTransition(status) => {
                let next: Vec<&str> = OrderStatus::ALL
                    .iter()
                    .filter(|to| to.predecessors().contains(&status.as_str()))
                    .map(|to| to.as_str())
                    .collect();
                let message = format!("an order that is {status} cannot go there");
                Self::new(StatusCode::CONFLICT, "wrong_order_step", message)
                    .with_details(json!({ "status": status, "allowed": next }))
            }
            OrderError::Database(error) => error.into(),
        }
    }
}

/// Changes an order's status and writes a message about the change to its contact, unless the contact has opted out.
/// The caller sends a message to the reply queue after the commit.
///
/// # Errors
/// 404 when there is no such order; 409 `wrong_order_step` when its status does not allow the change; a database
/// error.
pub async fn transition(tx: &mut TenantTx, order: Uuid, to: OrderStatus) -> Result<Order, ApiError> {
    lock_conversation(tx, order).await?;
    let order = set_status(tx, order, to).await?;
    if let Some(conversation) = order.conversation_id
        && !conversations::lock_deliverability(tx, conversation).await?.is_opted_out
    {
        let language = conversations::language(tx, conversation).await?;
        notify(tx, conversation, &status_message(&order.number(), to, language)).await?;
    }
    Ok(order)
}

/// Writes a message of the product to the contact of a conversation, which the caller has locked. The caller sends a
/// message to the reply queue after the commit.
///
/// # Errors
/// A database error.
pub async fn notify(tx: &mut TenantTx, conversation: Uuid, text: &str) -> sqlx::Result<()> {
    messages::write(tx, &NewMessage::without_model(conversation, Author::System, text, &[])).await?;
    conversations::queue_reply_job(tx, conversation).await
}

/// Locks the conversation of an order, if it has one, before the order itself, as [`conversations::lock`] describes.
pub(super) async fn lock_conversation(tx: &mut TenantTx, order: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        select from conversations where customer_id = $1 and id = (
            select conversation_id from orders where company_id = $1 and id = $2
        )
        for no key update
        "#,
        tx.tenant(),
        order
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Returns the message to the contact about the new status of the order with this number.
#[must_use]
pub fn status_message(number: &str, to: OrderStatus, language: Language) -> String {
    let is_english = language == Language::English;
    let state = match (to, is_english) {
        (OrderStatus::Pending, false) => "est enregistrée",
        (OrderStatus::Pending, true) => "is registered",
        (OrderStatus::Confirmed, false) => "est confirmée",
        (OrderStatus::Confirmed, true) => "is confirmed",
        (OrderStatus::Preparing, false) => "est en préparation",
        (OrderStatus::Preparing, true) => "is being prepared",
        (OrderStatus::Delivered, false) => "est livrée. Merci",
        (OrderStatus::Delivered, true) => "is delivered. Thank you",
        (OrderStatus::Cancelled, false) => "est annulée",
        (OrderStatus::Cancelled, true) => "is cancelled",
    };
    if is_english { format!("Your order {number} {state}.") } else { format!("Votre commande {number} {state}.") }
}

/// Changes an order's status. Revenue is added at `confirmed` and subtracted at `cancelled`.
pub(super) async fn set_status(tx: &mut TenantTx, order: Uuid, to: OrderStatus) -> Result<Order, OrderError> {
    let counted = lock_counted_revenue(tx, order).await?;
    let allowed: Vec<String> = to.predecessors().iter().map(|status| (*status).to_owned()).collect();
    let updated = sqlx::query_as!(
        Order,
        r#"
        update orders set status = $3, updated_at = now()
        where company_id = $1 and id = $2 and status = any ($4)
        returning id, conversation_id, items, (total_amount * 100)::bigint as "total_cents!", currency, status
        "#,
        tx.tenant(),
        order,
        to.as_str(),
        &allowed
    )
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(updated) = updated {
        let after = if matches!(to, OrderStatus::Pending | OrderStatus::Cancelled) { 0 } else { updated.total_cents };
        add_revenue(tx, after - counted).await?;
        return Ok(updated);
    }
    let status = sqlx::query_scalar!("select status from orders where company_id = $1 and id = $2", tx.tenant(), order)
        .fetch_optional(tx)
        .await?;
    Err(status.map_or(OrderError::NotFound, OrderError::InvalidTransition))
}
