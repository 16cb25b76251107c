//! `orders`: what a contact has ordered. An order begins as a [`Draft`] with the catalogue's prices, which its contact
//! confirms; what is not in the catalogue has no price and is left for a person to look at.

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    conversations,
    db::TenantTx,
    error::ApiError,
    messages::{self, Author, NewMessage},
    products::{self, Product},
    text::Language,
};

/// The most of one product in an order.
const MOST_OF_ONE: i64 = 999;
/// The most different items in an order.
const MOST_ITEMS: usize = 50;
/// The longest name of an item.
const LONGEST_NAME: usize = 200;

/// An item, as `orders.items` holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The product; none when the catalogue does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<Uuid>,
    /// What it is called.
    pub name: String,
    /// 1 to 999.
    pub quantity: i64,
    /// A decimal, from the catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<String>,
}

/// An item, as it is asked for. A price among its fields is not read.
#[derive(Debug, Clone, Deserialize)]
pub struct WantedItem {
    /// What it is called.
    pub product: String,
    /// How many.
    pub quantity: i64,
}

/// What was proposed to a contact and is not confirmed yet, as `conversations.order_draft` holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// The order that it would change; none for a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Uuid>,
    /// Whether it would cancel that order.
    #[serde(default)]
    pub cancels: bool,
    /// What is in it.
    pub items: Vec<Item>,
    /// In hundredths.
    pub total_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// Whom it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_name: Option<String>,
    /// When it was proposed.
    pub proposed_at: DateTime<Utc>,
}

impl Draft {
    /// Whether a person has to look at it: something in it is not in the catalogue.
    #[must_use]
    pub fn needs_review(&self) -> bool {
        self.items.iter().any(|item| item.unit_price.is_none())
    }
}

/// Why no draft can be made of what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Nothing is asked for, or too much at once.
    #[error("an order has 1 to {MOST_ITEMS} items")]
    Count,
    /// A quantity that is none.
    #[error("a quantity is 1 to {MOST_OF_ONE}")]
    Quantity,
    /// An item without a name.
    #[error("an item has a name")]
    Name,
}

/// Prices what is asked for, from the catalogue alone.
///
/// # Errors
/// [`Unusable`].
pub fn draft(
    catalogue: &[Product],
    wanted: &[WantedItem],
    currency: &str,
    now: DateTime<Utc>,
) -> Result<Draft, Unusable> {
    if wanted.is_empty() || wanted.len() > MOST_ITEMS {
        return Err(Unusable::Count);
    }
    let mut items = Vec::<Item>::new();
    let mut total_cents = 0_i64;
    for item in wanted {
        if !(1..=MOST_OF_ONE).contains(&item.quantity) {
            return Err(Unusable::Quantity);
        }
        let name = item.product.trim();
        if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
            return Err(Unusable::Name);
        }
        // Prices of another currency cannot be added up.
        let product = products::find(catalogue, name).filter(|product| product.currency == currency);
        if let Some(product) = product {
            total_cents = total_cents.saturating_add(product.price_cents.saturating_mul(item.quantity));
        }
        items.push(Item {
            product_id: product.map(|product| product.id),
            name: product.map_or(name, |product| product.name.as_str()).to_owned(),
            quantity: item.quantity,
            unit_price: product.map(|product| decimal(product.price_cents)),
        });
    }
    let currency = currency.to_owned();
    Ok(Draft { order_id: None, cancels: false, items, total_cents, currency, customer_name: None, proposed_at: now })
}

/// Hundredths as a decimal.
fn decimal(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// An order.
#[derive(Debug, Clone)]
pub struct Order {
    /// `orders.id`.
    pub id: Uuid,
    /// Where it came from.
    pub conversation_id: Option<Uuid>,
    /// What is in it.
    pub items: serde_json::Value,
    /// In hundredths.
    pub total_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// Where it stands.
    pub status: String,
}

impl Order {
    /// What people call it.
    #[must_use]
    pub fn number(&self) -> String {
        self.id.simple().to_string().chars().take(8).collect::<String>().to_uppercase()
    }
}

/// Makes the order that a contact has confirmed. What it costs is added up by the database from its items.
///
/// # Errors
/// The database's.
pub async fn create(tx: &mut TenantTx, conversation: Uuid, draft: &Draft) -> sqlx::Result<Order> {
    let items = serde_json::to_value(&draft.items).map_err(|error| sqlx::Error::Encode(error.into()))?;
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

/// The order of a conversation that its contact may still change: the last one, as long as nobody prepares it.
///
/// # Errors
/// The database's.
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

/// Changes the items of an order that its contact may still change, back to pending; `None` when it may not any more.
///
/// # Errors
/// The database's.
pub async fn change(tx: &mut TenantTx, conversation: Uuid, order: Uuid, draft: &Draft) -> sqlx::Result<Option<Order>> {
    let items = serde_json::to_value(&draft.items).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let before = revenue_off(tx, order).await?;
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
        add_revenue(tx, -before).await?;
    }
    Ok(changed)
}

/// Cancels an order for its contact, who may still change it; `None` when it may not any more.
///
/// # Errors
/// The database's.
pub async fn cancel(tx: &mut TenantTx, conversation: Uuid, order: Uuid) -> sqlx::Result<Option<Order>> {
    let before = revenue_off(tx, order).await?;
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
        add_revenue(tx, -before).await?;
    }
    Ok(cancelled)
}

/// What an order counts as revenue now, in hundredths: from `confirmed` on.
async fn revenue_off(tx: &mut TenantTx, order: Uuid) -> sqlx::Result<i64> {
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

/// Adds to the revenue of the tenant's day.
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

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Confirmed by its contact, not yet by the company.
    Pending,
    /// Taken by the company.
    Confirmed,
    /// Being prepared.
    Preparing,
    /// With its customer.
    Delivered,
    /// Not any more.
    Cancelled,
}

impl Status {
    /// As the column has it.
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

    /// The states that lead here.
    const fn before(self) -> &'static [&'static str] {
        match self {
            Self::Pending => &[],
            Self::Confirmed => &["pending"],
            Self::Preparing => &["confirmed"],
            Self::Delivered => &["preparing"],
            Self::Cancelled => &["pending", "confirmed", "preparing"],
        }
    }
}

/// Why an order stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// There is no such order.
    #[error("no such order")]
    Unknown,
    /// It cannot go there from where it stands.
    #[error("the order is {0}")]
    WrongStep(String),
    /// The database said so.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<OrderError> for ApiError {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::Unknown => Self::not_found("order"),
            OrderError::WrongStep(status) => {
                let message = format!("an order that is {status} cannot go there");
                Self::new(StatusCode::CONFLICT, "wrong_order_step", message)
            }
            OrderError::Database(error) => error.into(),
        }
    }
}

/// Moves an order along, and tells its contact. The caller then tells the reply queue.
///
/// # Errors
/// 404, 409 for a step that is none, or the database's.
pub async fn move_along(tx: &mut TenantTx, order: Uuid, to: Status) -> Result<Order, ApiError> {
    let order = set_status(tx, order, to).await?;
    if let Some(conversation) = order.conversation_id {
        let language = conversations::language(tx, conversation).await?;
        let text = news(&order, to, language);
        messages::write(tx, &NewMessage::plain(conversation, Author::System, &text, &[])).await?;
        conversations::make_due(tx, conversation).await?;
    }
    Ok(order)
}

/// What a contact hears of an order.
fn news(order: &Order, to: Status, language: Language) -> String {
    let number = order.number();
    let is_english = language == Language::English;
    let state = match (to, is_english) {
        (Status::Pending, false) => "est enregistrée",
        (Status::Pending, true) => "is registered",
        (Status::Confirmed, false) => "est confirmée",
        (Status::Confirmed, true) => "is confirmed",
        (Status::Preparing, false) => "est en préparation",
        (Status::Preparing, true) => "is being prepared",
        (Status::Delivered, false) => "est livrée. Merci",
        (Status::Delivered, true) => "is delivered. Thank you",
        (Status::Cancelled, false) => "est annulée",
        (Status::Cancelled, true) => "is cancelled",
    };
    if is_english { format!("Your order {number} {state}.") } else { format!("Votre commande {number} {state}.") }
}

/// Moves an order along. Revenue counts at `confirmed` and comes off at `cancelled`.
async fn set_status(tx: &mut TenantTx, order: Uuid, to: Status) -> Result<Order, OrderError> {
    let before = revenue_off(tx, order).await?;
    let allowed: Vec<String> = to.before().iter().map(|status| (*status).to_owned()).collect();
    let moved = sqlx::query_as!(
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
    if let Some(moved) = moved {
        let after = if matches!(to, Status::Pending | Status::Cancelled) { 0 } else { moved.total_cents };
        add_revenue(tx, after - before).await?;
        return Ok(moved);
    }
    let status = sqlx::query_scalar!("select status from orders where company_id = $1 and id = $2", tx.tenant(), order)
        .fetch_optional(tx)
        .await?;
    Err(status.map_or(OrderError::Unknown, OrderError::WrongStep))
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

    fn wanted(items: &[(&str, i64)]) -> Vec<WantedItem> {
        items
            .iter()
            .map(|(product, quantity)| WantedItem { product: (*product).to_owned(), quantity: *quantity })
            .collect()
    }

    #[test]
    fn prices_are_the_catalogues() {
        let draft = draft(&catalogue(), &wanted(&[("cafe  MOULU", 2), ("thé", 1)]), "XOF", Utc::now()).unwrap();
        assert_eq!(draft.total_cents, 599_950);
        assert_eq!(draft.items[0].unit_price.as_deref(), Some("2500.00"));
        assert_eq!(draft.items[1].unit_price.as_deref(), Some("999.50"));
        assert!(!draft.needs_review());
        // Whatever else a model writes beside it.
        let sly: WantedItem = serde_json::from_str(r#"{"product":"Thé","quantity":1,"unit_price":"1.00"}"#).unwrap();
        assert_eq!(super::draft(&catalogue(), &[sly], "XOF", Utc::now()).unwrap().total_cents, 99_950);
    }

    #[test]
    fn what_is_not_in_the_catalogue_is_reviewed() {
        let draft = draft(&catalogue(), &wanted(&[("Chocolat", 3)]), "XOF", Utc::now()).unwrap();
        assert!(draft.needs_review());
        assert_eq!((draft.total_cents, draft.items[0].unit_price.as_deref()), (0, None));
    }

    #[test]
    fn nonsense_makes_no_draft() {
        let draft = |items: &[(&str, i64)]| super::draft(&catalogue(), &wanted(items), "XOF", Utc::now()).unwrap_err();
        assert_eq!(draft(&[]), Unusable::Count);
        assert_eq!(draft(&[("Thé", 0)]), Unusable::Quantity);
        assert_eq!(draft(&[("Thé", 1_000)]), Unusable::Quantity);
        assert_eq!(draft(&[("  ", 1)]), Unusable::Name);
    }
}
