//! The orders for members of the tenant: list and one order.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::OrderStatus;
use crate::{
    currency::{Amount, decimal_amount},
    db::TenantTx,
    error::ApiError,
    input,
    paging::{List, Listing, Paging, list_page},
    time_range::{self, TimeBound},
};

/// An order, as shown to members of the tenant.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "3f1d2c4b-0c7e-4a53-8a4e-5d2f9b1c5a69", "number": "3F1D2C4B", "conversation_id": null, "customer_name": "Awa Koné",
    "status": "pending", "items": [{ "product_id": null, "name": "Café moulu 250 g", "quantity": 2, "unit_price": "2500" }],
    "total_amount": "5000", "currency": "XOF", "needs_review": false,
    "created_at": "2026-11-23T09:30:06Z", "updated_at": "2026-11-23T09:30:06Z",
}))]
pub struct OrderDetails {
    /// `orders.id`.
    pub id: Uuid,
    /// The number that people see: the first eight hex digits of the id, in upper case.
    number: String,
    /// The conversation in which the contact ordered.
    #[schema(required)]
    pub conversation_id: Option<Uuid>,
    #[schema(required)]
    customer_name: Option<String>,
    #[schema(value_type = OrderStatus)]
    status: String,
    items: Vec<OrderLine>,
    /// Sum of quantity times unit price of the items with a price, as a decimal number with the digits of the currency.
    total_amount: String,
    /// ISO 4217 code.
    currency: String,
    /// True when an item has no price, so that a person must look at the order.
    pub needs_review: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// An item of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OrderLine {
    /// The product; null when the item is not in the catalogue.
    #[schema(required)]
    product_id: Option<Uuid>,
    name: String,
    quantity: i64,
    /// Price of one piece as a decimal number; null when the item has none yet.
    #[schema(required)]
    unit_price: Option<String>,
}

impl OrderLine {
    /// Reads an item as it is stored. The companies' own systems write the column too, so that nothing is certain.
    fn read(item: &Value, currency: &str) -> Self {
        let price = match &item["unit_price"] {
            Value::String(price) => Some(price.clone()),
            Value::Number(price) => Some(price.to_string()),
            _ => None,
        };
        Self {
            product_id: item["product_id"].as_str().and_then(|id| id.parse().ok()),
            name: input::visible_name(item["name"].as_str().unwrap_or_default()),
            quantity: item["quantity"].as_i64().unwrap_or_default(),
            unit_price: price.map(|price| match price.parse::<Amount>() {
                Ok(amount) => decimal_amount(amount.cents(), currency),
                Err(_) => price,
            }),
        }
    }
}

/// A row of `orders`.
#[derive(Debug, Serialize, Deserialize)]
struct OrderRow {
    id: Uuid,
    conversation_id: Option<Uuid>,
    customer_name: Option<String>,
    status: String,
    items: Value,
    total_cents: i64,
    currency: String,
    needs_review: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<OrderRow> for OrderDetails {
    fn from(row: OrderRow) -> Self {
        let items = row.items.as_array().map(Vec::as_slice).unwrap_or_default();
        Self {
            id: row.id,
            number: super::number(row.id),
            conversation_id: row.conversation_id,
            customer_name: row.customer_name,
            status: row.status,
            items: items.iter().map(|item| OrderLine::read(item, &row.currency)).collect(),
            total_amount: decimal_amount(row.total_cents, &row.currency),
            currency: row.currency,
            needs_review: row.needs_review,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// Returns the order of a snapshot of its row, as the SQL function `app.on_webhook_order` makes it.
///
/// # Errors
/// The snapshot does not have the fields of an order.
pub fn from_snapshot(snapshot: &Value) -> serde_json::Result<OrderDetails> {
    OrderRow::deserialize(snapshot).map(OrderDetails::from)
}

/// A text to search for, 1 to 200 characters.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct SearchText(String);

impl TryFrom<String> for SearchText {
    type Error = input::UnusableText;

    fn try_from(text: String) -> Result<Self, input::UnusableText> {
        input::one_line(&text, 1, super::MAX_CUSTOMER_NAME_CHARS).map(Self)
    }
}

/// The filter of the list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OrderFilter {
    /// Only orders whose customer's name contains this text, regardless of case and accents.
    #[param(value_type = Option<String>, min_length = 1, max_length = 200)]
    search: Option<SearchText>,
    /// Only orders made at this time or later: a day in the company's timezone, or a time (RFC 3339).
    #[param(value_type = Option<String>, example = "2026-11-01")]
    from: Option<TimeBound>,
    /// Only orders made before this time, or until the end of this day.
    #[param(value_type = Option<String>, example = "2026-11-30")]
    to: Option<TimeBound>,
}

/// The sort fields and the statuses of the list.
#[derive(Debug)]
pub struct OrderListing;

impl Listing for OrderListing {
    const NAME: &'static str = "orders";
    const SORTS: &'static [&'static str] = &["created_at", "updated_at", "total_amount"];
    const STATUSES: &'static [&'static str] = &["pending", "confirmed", "preparing", "delivered", "cancelled"];
}

/// Returns a page of the tenant's orders.
///
/// # Errors
/// 422 for a cursor that was tampered with, or a range that ends before it begins; a database error.
pub async fn list(tx: &mut TenantTx, filter: &OrderFilter, paging: &Paging) -> Result<List<OrderDetails>, ApiError> {
    let (from, to) = time_range::resolve(tx, filter.from, filter.to).await?;
    let rows = list_page!(tx, paging, OrderRow {
        select: r#"id, conversation_id, customer_name, status, items, total_cents, currency,
            needs_review, created_at, updated_at"#,
        from: "orders where company_id = $1 and ($2::text is null or status = $2)
            and ($3::text is null
                or position(app.fold_name($3) in customer_name_key) > 0)
            and ($4::timestamptz is null or created_at >= $4) and ($5::timestamptz is null or created_at < $5)",
        bind: [paging.status, filter.search.as_ref().map(|search| search.0.as_str()), from, to],
        order: [
            "created_at": "created_at" "timestamptz" DateTime<Utc> = created_at,
            "updated_at": "updated_at" "timestamptz" DateTime<Utc> = updated_at,
            "total_amount": "total_cents" "bigint" i64 = total_cents,
        ],
        id: "id" "uuid" Uuid = id,
    });
    rows.map(|rows| rows.map(OrderDetails::from))
}

/// Returns one order.
///
/// # Errors
/// 404 when there is no such order; a database error.
pub async fn get(tx: &mut TenantTx, id: Uuid) -> Result<OrderDetails, ApiError> {
    sqlx::query_as!(
        OrderRow,
        r#"
        select id, conversation_id, customer_name, status, items, (total_amount * 100)::bigint as "total_cents!",
            currency, needs_review, created_at, updated_at
        from orders where company_id = $1 and id = $2
        "#,
        tx.tenant(),
        id
    )
    .fetch_optional(tx)
    .await?
    .map(OrderDetails::from)
    .ok_or_else(|| ApiError::not_found("order"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_item_of_another_system_is_shown_as_far_as_it_can_be_read() {
        let line = |item: Value| OrderLine::read(&item, "XOF");
        let id = Uuid::new_v4();
        let bot = line(json!({ "product_id": id, "name": "Thé", "quantity": 2, "unit_price": "2500.00" }));
        assert_eq!((bot.product_id, bot.unit_price.as_deref()), (Some(id), Some("2500")));
        assert_eq!(line(json!({ "unit_price": 99.5 })).unit_price.as_deref(), Some("99.50"));
        assert_eq!(line(json!("?")), line(json!({ "quantity": 0, "name": "" })));
    }
}
