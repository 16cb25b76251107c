//! Table `orders`: the orders of contacts. An order begins as an [`OrderDraft`] with the catalogue's prices; the
//! contact confirms the draft. An item that is not in the catalogue has no price, and the order is marked for review
//! by a person.
//!
//! SQL functions: `app.fold_name`, `app.add_to_order_day`. Triggers on `orders`: `orders_customer_name_key`
//! (`app.set_customer_name_key`), `orders_counted_on` (`app.set_counted_on`), and `orders_count` (`app.count_order`), which
//! counts into the table `order_days`.

mod company;
mod list;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    conversations,
    currency::MAX_AMOUNT_CENTS,
    db::TenantTx,
    error::ApiError,
    input,
    messages::{self, Author, NewMessage},
    products::{self, Product},
    text::Language,
};

pub use company::{
    CustomerNotice, NewOrder, NewOrderItem, OrderPatch, create as create_by_company, delete, edit, lock,
};
pub use list::{OrderDetails, OrderFilter, OrderLine, OrderListing, from_snapshot, get, list};

/// Maximum quantity of one item.
const MAX_ITEM_QUANTITY: i64 = 999;
/// Maximum number of items in an order.
const MAX_ITEMS: usize = 50;
/// Maximum length of an item's name, in characters.
const MAX_ITEM_NAME_CHARS: usize = 200;
/// Maximum length of the name of an order's customer, in characters.
pub const MAX_CUSTOMER_NAME_CHARS: usize = 200;

/// An item of an order, as stored in `orders.items` and in a draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderItem {
    /// The product's id; `None` when the item is not in the catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<Uuid>,
    /// The item's name.
    pub name: String,
    /// Quantity, from 1 to `MAX_ITEM_QUANTITY`.
    pub quantity: i64,
    /// The catalogue's price, as a decimal number; `None` when the item is not in the catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<String>,
}

impl OrderItem {
    /// Returns the unit price in hundredths of the currency; `None` when the item has none.
    #[must_use]
    pub fn unit_price_cents(&self) -> Option<i64> {
        let decimal = self.unit_price.as_deref()?;
        let (whole, part) = decimal.split_once('.').unwrap_or((decimal, "00"));
        whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(part.parse().ok()?)
    }
}

/// An item that the model requests. A price among its fields is ignored.
#[derive(Debug, Clone, Deserialize)]
pub struct RequestedItem {
    /// The product's name.
    pub product: String,
    /// The requested quantity, not validated yet.
    pub quantity: i64,
}

/// An order that was proposed to a contact and is not confirmed yet, as stored in `conversations.order_draft`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderDraft {
    /// The order that the draft changes or cancels; `None` for a new order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Uuid>,
    /// True when the draft cancels that order.
    #[serde(default)]
    pub cancels: bool,
    /// The items.
    pub items: Vec<OrderItem>,
    /// Sum of the items that have a price, in hundredths of the currency.
    pub total_cents: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// The customer's name, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_name: Option<String>,
    /// Time of the proposal.
    pub proposed_at: DateTime<Utc>,
    /// The message that proposes the draft. An answer confirms the draft only while this is the last message to the
    /// contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Uuid>,
}

impl OrderDraft {
    /// Creates the proposal to cancel an order.
    #[must_use]
    pub fn cancellation(order: &Order, now: DateTime<Utc>) -> Self {
        Self {
            order_id: Some(order.id),
            cancels: true,
            items: Vec::new(),
            total_cents: 0,
            currency: order.currency.clone(),
            customer_name: None,
            proposed_at: now,
            message_id: None,
        }
    }

    /// Returns true when a person must review the order, because an item is not in the catalogue.
    #[must_use]
    pub fn needs_review(&self) -> bool {
        self.items.iter().any(|item| item.unit_price.is_none())
    }
}

/// The reason for which requested items give no draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// No items, or more than 50.
    #[error("an order has 1 to {MAX_ITEMS} items")]
    Count,
    /// A quantity outside of 1 to 999.
    #[error("a quantity is 1 to {MAX_ITEM_QUANTITY}")]
    Quantity,
    /// An item whose name is empty, too long or has control characters.
    #[error("an item has a name")]
    Name,
    /// A total that the database cannot hold.
    #[error("the total is too large")]
    Total,
}

/// Builds a draft from requested items, with prices from the catalogue only.
///
/// # Errors
/// A [`DraftError`].
pub fn build_draft(
    catalogue: &[Product],
    wanted: &[RequestedItem],
    currency: &str,
    now: DateTime<Utc>,
) -> Result<OrderDraft, DraftError> {
    if wanted.is_empty() || wanted.len() > MAX_ITEMS {
        return Err(DraftError::Count);
    }
    let mut items = Vec::<OrderItem>::new();
    let mut total_cents = 0_i64;
    for item in wanted {
        if !(1..=MAX_ITEM_QUANTITY).contains(&item.quantity) {
            return Err(DraftError::Quantity);
        }
        // A line separator or a direction mark would let a name show another total than the proposal has.
        let name = input::one_line(&item.product, 1, MAX_ITEM_NAME_CHARS).or(Err(DraftError::Name))?;
        // A price in another currency cannot be added to the total: the item counts as not in the catalogue.
        let product = products::find(catalogue, &name).filter(|product| product.currency == currency);
        if let Some(product) = product {
            total_cents = total_cents.saturating_add(product.price_cents.saturating_mul(item.quantity));
            if total_cents > MAX_AMOUNT_CENTS {
                return Err(DraftError::Total);
            }
        }
        items.push(OrderItem {
            product_id: product.map(|product| product.id),
            name: product.map_or(name, |product| product.name.clone()),
            quantity: item.quantity,
            unit_price: product.map(|product| decimal(product.price_cents)),
        });
    }
    let currency = currency.to_owned();
    Ok(OrderDraft {
        order_id: None,
        cancels: false,
        items,
        total_cents,
        currency,
        customer_name: None,
        proposed_at: now,
        message_id: None,
    })
}

/// Formats hundredths as a decimal number: `2500.00`.
fn decimal(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// An order.
#[derive(Debug, Clone)]
pub struct Order {
    /// `orders.id`.
    pub id: Uuid,
    /// The conversation in which the contact ordered.
    pub conversation_id: Option<Uuid>,
    /// The items, as JSON (a list of [`OrderItem`]).
    pub items: Value,
    /// Total in hundredths of the currency.
    pub total_cents: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// The value of `orders.status`; see [`OrderStatus`].
    pub status: String,
}

impl Order {
    /// Returns the number that people see: the first eight hex digits of the id, in upper case.
    #[must_use]
    pub fn number(&self) -> String {
        number(self.id)
    }
}

fn number(order: Uuid) -> String {
    order.simple().to_string().chars().take(8).collect::<String>().to_uppercase()
}

/// Returns true when the total of an order with this status counts as revenue.
fn counts_as_revenue(status: &str) -> bool {
    ["confirmed", "preparing", "delivered"].contains(&status)
}

/// Creates the order of a draft that its contact confirmed. The database computes the total from the items.
///
/// # Errors
/// A database error.
pub async fn create(tx: &mut TenantTx, conversation: Uuid, draft: &OrderDraft) -> sqlx::Result<Order> {
    let items = lock_products(tx, draft).await?;
    sqlx::query_as!(
        Order,
        r#"
        insert into orders (company_id, conversation_id, customer_name, currency, items, needs_review, total_amount)
        select $1, $2, $3, $4, $5, $6, coalesce(sum((item ->> 'quantity')::numeric * (item ->> 'unit_price')::numeric), 0)
        from jsonb_array_elements($5) item
        returning id, conversation_id, items, (total_amount * 100)::bigint as "total_cents!", currency, status
        "#,
        tx.tenant(),
        conversation,
        draft.customer_name,
        draft.currency,
        items,
        draft.needs_review()
    )
    .fetch_one(tx)
    .await
}

/// Keeps the products of a draft from being deleted until the transaction ends: whoever deletes one sees the order, and
/// archives the product. Returns the items; one whose product was deleted between the catalogue's reading and the proposal
/// keeps its name and price, and names no product.
async fn lock_products(tx: &mut TenantTx, draft: &OrderDraft) -> sqlx::Result<Value> {
    let ids: Vec<Uuid> = draft.items.iter().filter_map(|item| item.product_id).collect();
    let known = sqlx::query_scalar!(
        "select id from products where customer_id = $1 and id = any ($2) order by id for key share",
        tx.tenant(),
        &ids
    )
    .fetch_all(tx)
    .await?;
    let mut items = draft.items.clone();
    for item in &mut items {
        item.product_id = item.product_id.filter(|id| known.contains(id));
    }
    serde_json::to_value(items).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// Finds the order of a conversation that its contact may still change: the newest one that is pending or confirmed.
///
/// # Errors
/// A database error.
pub async fn find_changeable(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<Option<Order>> {
    sqlx::query_as!(
        Order,
        r#"
        select id, conversation_id, items, (total_amount * 100)::bigint as "total_cents!", currency, status from orders
        where company_id = $1 and conversation_id = $2 and status in ('pending', 'confirmed')
        order by created_at desc
        limit 1
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_optional(tx)
    .await
}

/// Returns true when the newest order of a conversation is being prepared, so that its contact may not change it any more.
///
/// # Errors
/// A database error.
pub async fn is_in_preparation(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<bool> {
    let status = sqlx::query_scalar!(
        "select status from orders where company_id = $1 and conversation_id = $2 order by created_at desc limit 1",
        tx.tenant(),
        conversation
    )
    .fetch_optional(tx)
    .await?;
    Ok(status.as_deref() == Some(OrderStatus::Preparing.as_str()))
}

/// Replaces the items of a pending or confirmed order and sets its status to pending. Returns `None` when the order
/// has another status. Revenue that was counted for the order is subtracted.
///
/// # Errors
/// A database error.
pub async fn change(
    tx: &mut TenantTx,
    conversation: Uuid,
    order: Uuid,
    draft: &OrderDraft,
) -> sqlx::Result<Option<Order>> {
    let items = lock_products(tx, draft).await?;
    let counted = lock_counted_revenue(tx, order).await?;
    let changed = sqlx::query_as!(
        Order,
        r#"
        update orders set
            items = $4, needs_review = $5, currency = $6, status = 'pending', updated_at = now(),
            total_amount = (
                select coalesce(sum((item ->> 'quantity')::numeric * (item ->> 'unit_price')::numeric), 0)
                from jsonb_array_elements($4) item
            )
        where company_id = $1 and conversation_id = $2 and id = $3 and status in ('pending', 'confirmed')
        returning id, conversation_id, items, (total_amount * 100)::bigint as "total_cents!", currency, status
        "#,
        tx.tenant(),
        conversation,
        order,
        items,
        draft.needs_review(),
        draft.currency
    )
    .fetch_optional(&mut *tx)
    .await?;
    if changed.is_some() {
        add_revenue(tx, -counted).await?;
    }
    Ok(changed)
}

/// Cancels a pending or confirmed order on the contact's request. Returns `None` when the order has another status.
/// Revenue that was counted for the order is subtracted.
///
/// # Errors
/// A database error.
pub async fn cancel(tx: &mut TenantTx, conversation: Uuid, order: Uuid) -> sqlx::Result<Option<Order>> {
    let counted = lock_counted_revenue(tx, order).await?;
    let cancelled = sqlx::query_as!(
        Order,
        r#"
        update orders set status = 'cancelled', updated_at = now()
        where company_id = $1 and conversation_id = $2 and id = $3 and status in ('pending', 'confirmed')
        returning id, conversation_id, items, (total_amount * 100)::bigint as "total_cents!", currency, status
        "#,
        tx.tenant(),
        conversation,
        order
    )
    .fetch_optional(&mut *tx)
    .await?;
    if cancelled.is_some() {
        add_revenue(tx, -counted).await?;
    }
    Ok(cancelled)
}

/// Locks an order and returns the revenue counted for it, in hundredths: its total from status `confirmed` on, else
/// 0.
async fn lock_counted_revenue(tx: &mut TenantTx, order: Uuid) -> sqlx::Result<i64> {
    let counted = sqlx::query_scalar!(
        r#"
        select case when status in ('confirmed', 'preparing', 'delivered') then (total_amount * 100)::bigint else 0 end
            as "cents!"
        from orders where company_id = $1 and id = $2 for update
        "#,
        tx.tenant(),
        order
    )
    .fetch_optional(tx)
    .await?;
    Ok(counted.unwrap_or_default())
}

/// Adds an amount in hundredths, possibly negative, to the revenue of the current day in the tenant's time zone.
async fn add_revenue(tx: &mut TenantTx, cents: i64) -> sqlx::Result<()> {
    if cents == 0 {
        return Ok(());
    }
    sqlx::query!(
        r#"
        insert into bot_usage as day (company_id, date, revenue)
        select id, (now() at time zone timezone)::date, $2::bigint / 100.0 from customers where id = $1
        on conflict on constraint bot_usage_day_key do update set revenue = day.revenue + excluded.revenue
        "#,
        tx.tenant(),
        cents
    )
    .execute(tx)
    .await
    .map(drop)
}

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
async fn lock_conversation(tx: &mut TenantTx, order: Uuid) -> sqlx::Result<()> {
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
async fn set_status(tx: &mut TenantTx, order: Uuid, to: OrderStatus) -> Result<Order, OrderError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Vec<Product> {
        [("Café moulu", 250_000), ("Thé", 99_950)]
            .map(|(name, price_cents)| Product {
                id: Uuid::new_v4(),
                name: name.to_owned(),
                description: None,
                price_cents,
                currency: "XOF".to_owned(),
            })
            .to_vec()
    }

    fn wanted(items: &[(&str, i64)]) -> Vec<RequestedItem> {
        items
            .iter()
            .map(|(product, quantity)| RequestedItem { product: (*product).to_owned(), quantity: *quantity })
            .collect()
    }

    #[test]
    fn prices_come_from_the_catalogue_and_a_price_of_the_model_is_ignored() {
        let draft = build_draft(&catalogue(), &wanted(&[("cafe  MOULU", 2), ("thé", 1)]), "XOF", Utc::now()).unwrap();
        assert_eq!(draft.total_cents, 599_950);
        assert_eq!(draft.items[0].unit_price.as_deref(), Some("2500.00"));
        assert_eq!(draft.items[1].unit_price.as_deref(), Some("999.50"));
        assert_eq!(draft.items[1].unit_price_cents(), Some(99_950));
        assert!(!draft.needs_review());
        // A price that the model adds.
        let with_price: RequestedItem =
            serde_json::from_str(r#"{"product":"Thé","quantity":1,"unit_price":"1.00"}"#).unwrap();
        assert_eq!(super::build_draft(&catalogue(), &[with_price], "XOF", Utc::now()).unwrap().total_cents, 99_950);
    }

    #[test]
    fn an_item_outside_of_the_catalogue_has_no_price_and_needs_review() {
        let draft = build_draft(&catalogue(), &wanted(&[("Chocolat", 3)]), "XOF", Utc::now()).unwrap();
        assert!(draft.needs_review());
        assert_eq!((draft.total_cents, draft.items[0].unit_price.as_deref()), (0, None));
    }

    #[test]
    fn an_invalid_count_quantity_or_name_gives_no_draft() {
        let draft =
            |items: &[(&str, i64)]| super::build_draft(&catalogue(), &wanted(items), "XOF", Utc::now()).unwrap_err();
        assert_eq!(draft(&[]), DraftError::Count);
        assert_eq!(draft(&[("Thé", 0)]), DraftError::Quantity);
        assert_eq!(draft(&[("Thé", 1_000)]), DraftError::Quantity);
        assert_eq!(draft(&[("  ", 1)]), DraftError::Name);
    }
}
