//! Table `orders`: the orders of contacts. An order begins as an [`OrderDraft`] with the catalogue's prices; the
//! contact confirms the draft. An item that is not in the catalogue has no price, and the order is marked for review
//! by a person.
//!
//! SQL functions: `app.fold_name`, `app.add_to_order_day`. Triggers on `orders`: `orders_customer_name_key`
//! (`app.set_customer_name_key`), `orders_counted_on` (`app.set_counted_on`), and `orders_count` (`app.count_order`), which
//! counts into the table `order_days`.

mod company;
mod contact;
mod draft;
mod list;
mod revenue;
mod status;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub use company::{
    CustomerNotice, NewOrder, NewOrderItem, OrderPatch, create as create_by_company, delete, edit, lock,
};
pub use contact::{cancel, change, create, find_changeable, is_in_preparation};
pub use draft::{DraftError, OrderDraft, RequestedItem, build_draft};
pub use list::{OrderDetails, OrderFilter, OrderLine, OrderListing, from_snapshot, get, list};
pub use status::{OrderError, OrderStatus, notify, status_message, transition};

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
