//! Drafts of orders: what the model requests, with the prices of the catalogue, until the contact confirms it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{MAX_ITEM_NAME_CHARS, MAX_ITEM_QUANTITY, MAX_ITEMS, Order, OrderItem, decimal};
use crate::{
    currency::MAX_AMOUNT_CENTS,
    input,
    products::{self, Product},
};

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
