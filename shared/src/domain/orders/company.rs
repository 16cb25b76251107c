//! Making, changing and deleting orders as a person of the company. The contact's side is in [`super::contact`].

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    MAX_CUSTOMER_NAME_CHARS, MAX_ITEM_NAME_CHARS, MAX_ITEM_QUANTITY, MAX_ITEMS, Order, OrderItem, OrderStatus, decimal,
    get,
    list::OrderDetails,
    revenue::{add_revenue, counts_as_revenue},
    status::{lock_conversation, set_status},
};
use crate::{
    conversations,
    currency::{Amount, Currency, MAX_AMOUNT_CENTS},
    db::TenantTx,
    error::{ApiError, FieldError},
    input,
};

/// Name of an order's customer, 1 to 200 characters.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 200)]
struct CustomerName(String);

impl TryFrom<String> for CustomerName {
    type Error = input::UnusableText;

    fn try_from(name: String) -> Result<Self, input::UnusableText> {
        input::one_line(&name, 1, MAX_CUSTOMER_NAME_CHARS).map(Self)
    }
}

/// Name of an item, 1 to 200 characters.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 200)]
struct ItemName(String);

impl TryFrom<String> for ItemName {
    type Error = input::UnusableText;

    fn try_from(name: String) -> Result<Self, input::UnusableText> {
        input::one_line(&name, 1, MAX_ITEM_NAME_CHARS).map(Self)
    }
}

/// Quantity of an item, from 1 to 999.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(try_from = "i64")]
struct Quantity(i64);

/// The error for a quantity out of its range.
#[derive(Debug, thiserror::Error)]
#[error("must be between 1 and {MAX_ITEM_QUANTITY}")]
struct QuantityOutOfRange;

impl TryFrom<i64> for Quantity {
    type Error = QuantityOutOfRange;

    fn try_from(quantity: i64) -> Result<Self, QuantityOutOfRange> {
        if (1..=MAX_ITEM_QUANTITY).contains(&quantity) { Ok(Self(quantity)) } else { Err(QuantityOutOfRange) }
    }
}

/// An item of an order: a product of the catalogue by its id, or anything else by a name.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrderItem {
    /// A product of the catalogue, whose name and price the item gets.
    #[serde(default)]
    product_id: Option<Uuid>,
    /// Name of the item; required without `product_id`.
    #[serde(default)]
    name: Option<ItemName>,
    /// From 1 to 999.
    #[schema(value_type = i64, minimum = 1, maximum = 999)]
    quantity: Quantity,
    /// Price of one piece as a decimal number, for example `"2500"` or `"12.50"`; for a product its price in the
    /// catalogue by default. An order with an item without a price has `needs_review`.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = r"^[0-9]+(\.[0-9]+)?$")]
    unit_price: Option<Amount>,
}

/// The items of an order, 1 to 50.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(try_from = "Vec<NewOrderItem>")]
struct NewOrderItems(Vec<NewOrderItem>);

/// The error for an order of too few or too many items.
#[derive(Debug, thiserror::Error)]
#[error("must have 1 to {MAX_ITEMS} items")]
struct ItemCountOutOfRange;

impl TryFrom<Vec<NewOrderItem>> for NewOrderItems {
    type Error = ItemCountOutOfRange;

    fn try_from(items: Vec<NewOrderItem>) -> Result<Self, ItemCountOutOfRange> {
        if (1..=MAX_ITEMS).contains(&items.len()) { Ok(Self(items)) } else { Err(ItemCountOutOfRange) }
    }
}

/// An order to be made by a person of the company.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "customer_name": "Awa Koné", "items": [{ "name": "Café moulu 250 g", "quantity": 2, "unit_price": "2500" }],
}))]
pub struct NewOrder {
    #[schema(value_type = Vec<NewOrderItem>, min_items = 1, max_items = 50)]
    items: NewOrderItems,
    #[serde(default)]
    customer_name: Option<CustomerName>,
    /// The conversation with the contact who orders.
    #[serde(default)]
    pub conversation_id: Option<Uuid>,
    /// ISO 4217 code; the company's currency by default.
    #[serde(default)]
    currency: Option<Currency>,
    /// True sends the contact of the conversation a message about the order.
    #[serde(default)]
    pub notify_customer: bool,
}

/// A change of an order. Absent fields stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "status": "confirmed", "notify_customer": true }))]
pub struct OrderPatch {
    /// The next status: `pending` → `confirmed` → `preparing` → `delivered`, or `cancelled` before delivery.
    #[serde(default)]
    pub status: Option<OrderStatus>,
    /// Null removes the name.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    customer_name: Option<Option<CustomerName>>,
    /// Replaces all items of an order that is neither delivered nor cancelled.
    #[serde(default)]
    #[schema(value_type = Option<Vec<NewOrderItem>>, min_items = 1, max_items = 50)]
    items: Option<NewOrderItems>,
    /// True sends the contact of the conversation a message about the change of the status or of the items.
    #[serde(default)]
    pub notify_customer: bool,
}

impl OrderPatch {
    /// Returns true when the items are replaced.
    #[must_use]
    pub fn replaces_items(&self) -> bool {
        self.items.is_some()
    }

    /// Returns true when something else than the status is changed.
    #[must_use]
    pub fn changes_content(&self) -> bool {
        self.customer_name.is_some() || self.items.is_some()
    }
}

/// A product that an order names.
struct NamedProduct {
    name: String,
    price_cents: i64,
    currency: String,
    is_archived: bool,
}

/// Makes an order. The database computes the total from the items.
///
/// # Errors
/// 404 for an unknown conversation or product; 409 `product_archived`; 422 for prices that the currency does not have and
/// for a total that is too large; a database error.
pub async fn create(tx: &mut TenantTx, order: &NewOrder) -> Result<OrderDetails, ApiError> {
    if let Some(conversation) = order.conversation_id
        && !conversations::lock(tx, conversation).await?
    {
        return Err(ApiError::not_found("conversation"));
    }
    let currency = match &order.currency {
        Some(currency) => currency.as_str().to_owned(),
        None => {
            sqlx::query_scalar!("select currency from customers where id = $1", tx.tenant()).fetch_one(&mut *tx).await?
        }
    };
    let items = price_items(tx, &order.items, &currency, &[]).await?;
    let stored = serde_json::to_value(&items).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let id = sqlx::query_scalar!(
        r#"
        insert into orders (company_id, conversation_id, customer_name, currency, items, needs_review, total_amount)
        select $1, $2, $3, $4, $5, $6, coalesce(sum((item ->> 'quantity')::numeric * (item ->> 'unit_price')::numeric), 0)
        from jsonb_array_elements($5) item
        returning id
        "#,
        tx.tenant(),
        order.conversation_id,
        order.customer_name.as_ref().map(|name| name.0.as_str()),
        currency,
        stored,
        items.iter().any(|item| item.unit_price.is_none())
    )
    .fetch_one(&mut *tx)
    .await?;
    get(tx, id).await
}

/// Changes an order: its status, the name of its customer and its items. The counters of the order's own day are locked
/// before those of today, as by every change of a status.
///
/// # Errors
/// 404 when there is no such order, or for an unknown product; 409 `wrong_order_step` when its status does not allow the
/// new one, `order_needs_review` for a confirmation while an item has no price, `order_closed` when its items cannot be
/// changed any more, or `product_archived`; 422 as for [`create`]; a
/// database error.
pub async fn edit(tx: &mut TenantTx, id: Uuid, patch: &OrderPatch) -> Result<OrderDetails, ApiError> {
    lock_conversation(tx, id).await?;
    let mut order = lock(tx, id).await?;
    let items = match &patch.items {
        Some(items) => Some(price_new_items(tx, &order, items).await?),
        None => None,
    };
    if let Some(status) = patch.status {
        if status == OrderStatus::Confirmed && needs_review(tx, id, items.as_deref()).await? {
            let message = "an item of the order has no price: set it first";
            return Err(ApiError::conflict("order_needs_review", message));
        }
        order = set_status(tx, id, status).await?;
    }
    if let Some(items) = items {
        write_items(tx, &order, &items).await?;
    }
    if let Some(name) = &patch.customer_name {
        sqlx::query!(
            "update orders set customer_name = $3, updated_at = now() where company_id = $1 and id = $2",
            tx.tenant(),
            id,
            name.as_ref().map(|name| name.0.as_str())
        )
        .execute(&mut *tx)
        .await?;
    }
    get(tx, id).await
}

/// Returns true when one of the new items, or without new ones an item of the order, has no price.
async fn needs_review(tx: &mut TenantTx, id: Uuid, items: Option<&[OrderItem]>) -> sqlx::Result<bool> {
    match items {
        Some(items) => Ok(items.iter().any(|item| item.unit_price.is_none())),
        None => {
            let stored = sqlx::query_scalar!(
                "select needs_review from orders where company_id = $1 and id = $2",
                tx.tenant(),
                id
            );
            stored.fetch_one(tx).await
        }
    }
}

/// Deletes an order that is pending or cancelled, and returns its conversation. Revenue does not count for it.
///
/// # Errors
/// 404 when there is no such order; 409 `order_in_progress` when it has another status; a database error.
pub async fn delete(tx: &mut TenantTx, id: Uuid) -> Result<Option<Uuid>, ApiError> {
    lock_conversation(tx, id).await?;
    let known = lock(tx, id).await?;
    if !["pending", "cancelled"].contains(&known.status.as_str()) {
        let message = format!("an order that is {} is not deleted: only a pending or a cancelled one", known.status);
        return Err(ApiError::conflict("order_in_progress", message).with_details(json!({ "status": known.status })));
    }
    sqlx::query!("delete from orders where company_id = $1 and id = $2", tx.tenant(), id).execute(tx).await?;
    Ok(known.conversation_id)
}

/// Locks an order until the transaction ends, and returns it. The conversation of the order is locked before it.
///
/// # Errors
/// 404 when there is no such order; a database error.
pub async fn lock(tx: &mut TenantTx, id: Uuid) -> Result<Order, ApiError> {
    sqlx::query_as!(
        Order,
        r#"
        select id, conversation_id, items, (total_amount * 100)::bigint as "total_cents!", currency, status from orders
        where company_id = $1 and id = $2 for update
        "#,
        tx.tenant(),
        id
    )
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| ApiError::not_found("order"))
}

/// Returns the new items of a locked order with their names and prices. A product that the order names before may be
/// archived.
///
/// # Errors
/// 409 `order_closed` for an order that is delivered or cancelled; the errors of [`price_items`].
async fn price_new_items(tx: &mut TenantTx, order: &Order, items: &NewOrderItems) -> Result<Vec<OrderItem>, ApiError> {
    if ["delivered", "cancelled"].contains(&order.status.as_str()) {
        let message = format!("the items of an order that is {} stay as they are", order.status);
        return Err(ApiError::conflict("order_closed", message).with_details(json!({ "status": order.status })));
    }
    let named = order.items.as_array().map(Vec::as_slice).unwrap_or_default();
    let named: Vec<Uuid> = named.iter().filter_map(|item| item["product_id"].as_str()?.parse().ok()).collect();
    price_items(tx, items, &order.currency, &named).await
}

/// Writes the items of an order, and counts the difference of its revenue.
async fn write_items(tx: &mut TenantTx, order: &Order, items: &[OrderItem]) -> sqlx::Result<()> {
    let stored = serde_json::to_value(items).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let total_cents = sqlx::query_scalar!(
        r#"
        update orders set
            items = $3, needs_review = $4, updated_at = now(),
            total_amount = (
                select coalesce(sum((item ->> 'quantity')::numeric * (item ->> 'unit_price')::numeric), 0)
                from jsonb_array_elements($3) item
            )
        where company_id = $1 and id = $2
        returning (total_amount * 100)::bigint as "total_cents!"
        "#,
        tx.tenant(),
        order.id,
        stored,
        items.iter().any(|item| item.unit_price.is_none())
    )
    .fetch_one(&mut *tx)
    .await?;
    if counts_as_revenue(&order.status) {
        add_revenue(tx, total_cents - order.total_cents).await?;
    }
    Ok(())
}

/// Finds the products of items and sets names and prices. `already_named` are products that the order has before: an
/// archived one among them may stay.
async fn price_items(
    tx: &mut TenantTx,
    items: &NewOrderItems,
    currency: &str,
    already_named: &[Uuid],
) -> Result<Vec<OrderItem>, ApiError> {
    let products = lock_products(tx, items).await?;
    let mut priced = Vec::new();
    let mut wrong = Vec::new();
    for (place, item) in items.0.iter().enumerate() {
        let product = match item.product_id {
            Some(id) => Some((id, products.get(&id).ok_or_else(|| ApiError::not_found("product"))?)),
            None => None,
        };
        if let Some((id, archived)) = product.filter(|(_, product)| product.is_archived)
            && !already_named.contains(&id)
        {
            let message = format!("{} is not in the catalogue any more", archived.name);
            return Err(ApiError::conflict("product_archived", message).with_details(json!({ "product_id": id })));
        }
        let mut fault =
            |field: &str, message: String| wrong.push(FieldError::new(format!("items[{place}].{field}"), message));
        let unit_price = match (item.unit_price, product) {
            (Some(price), _) => Some(price),
            (None, Some((_, product))) if product.currency != currency => {
                fault("product_id", format!("has a price in {}, and the order is in {currency}", product.currency));
                None
            }
            (None, Some((_, product))) => Some(Amount::from_cents(product.price_cents)),
            (None, None) => None,
        };
        if let Some(error) = item.unit_price.and_then(|price| price.ensure_payable_in(currency).err()) {
            fault("unit_price", error.to_string());
        }
        let name = match (&item.name, product) {
            (Some(name), _) => name.0.clone(),
            (None, Some((_, product))) => product.name.clone(),
            (None, None) => {
                fault("name", "is required without product_id".to_owned());
                String::new()
            }
        };
        priced.push((
            OrderItem {
                product_id: item.product_id,
                name,
                quantity: item.quantity.0,
                unit_price: unit_price.map(|price| decimal(price.cents())),
            },
            unit_price,
        ));
    }
    let total = priced.iter().try_fold(0_i64, |total, (item, price)| {
        total.checked_add(price.map_or(0, Amount::cents).checked_mul(item.quantity)?)
    });
    if total.is_none_or(|total| total > MAX_AMOUNT_CENTS) {
        wrong.push(FieldError::new("items", "have a total that is too large"));
    }
    if wrong.is_empty() {
        Ok(priced.into_iter().map(|(item, _)| item).collect())
    } else {
        Err(ApiError::validation(wrong))
    }
}

/// Returns the products of items. They cannot be deleted until the transaction ends: whoever deletes one sees the order
/// that names it, and archives the product.
async fn lock_products(tx: &mut TenantTx, items: &NewOrderItems) -> Result<BTreeMap<Uuid, NamedProduct>, ApiError> {
    let ids: Vec<Uuid> = items.0.iter().filter_map(|item| item.product_id).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = sqlx::query!(
        r#"
        select id, name, (price * 100)::bigint as "price_cents!", currency, archived_at is not null as "is_archived!"
        from products where customer_id = $1 and id = any ($2) order by id for key share
        "#,
        tx.tenant(),
        &ids
    )
    .fetch_all(tx)
    .await?;
    let named = |row: &str| input::visible_name(row);
    Ok(rows
        .into_iter()
        .map(|row| {
            let product = NamedProduct {
                name: named(&row.name),
                price_cents: row.price_cents,
                currency: row.currency,
                is_archived: row.is_archived,
            };
            (row.id, product)
        })
        .collect())
}

/// Outcome of a message to the contact that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CustomerNotice {
    /// The message is on its way.
    Queued,
    /// The order has no conversation on WhatsApp.
    NoConversation,
    /// The contact has asked to receive no more messages.
    ContactOptedOut,
    /// The contact has written nothing for 24 hours, so WhatsApp takes no message.
    WhatsappWindowClosed,
}

impl CustomerNotice {
    /// Returns the reason for which no message is written to the contact of a conversation, if there is one, and locks
    /// the conversation.
    ///
    /// # Errors
    /// A database error.
    pub async fn obstacle(tx: &mut TenantTx, conversation: Option<Uuid>) -> Result<Option<Self>, ApiError> {
        let Some(conversation) = conversation else { return Ok(Some(Self::NoConversation)) };
        let open = match conversations::lock_deliverability(tx, conversation).await {
            Ok(deliverability) => deliverability.ensure_open(),
            Err(error) => Err(error),
        };
        match open {
            Ok(()) => Ok(None),
            Err(error) if error.code == "contact_opted_out" => Ok(Some(Self::ContactOptedOut)),
            Err(error) if error.code == "whatsapp_window_closed" => Ok(Some(Self::WhatsappWindowClosed)),
            // A conversation over the API has no contact.
            Err(error) if error.status == StatusCode::NOT_FOUND => Ok(Some(Self::NoConversation)),
            Err(error) => Err(error),
        }
    }
}
