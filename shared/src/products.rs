//! `products`: what a tenant's bot may sell. The model names products; their prices come from here.

use uuid::Uuid;

use crate::{db::TenantTx, text};

/// Products that a model is shown.
const MOST_SHOWN: i64 = 200;

/// A product that can be had.
#[derive(Debug, Clone)]
pub struct Product {
    /// `products.id`.
    pub id: Uuid,
    /// What it is called.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// In hundredths of the currency, whatever it is divided into.
    pub price_cents: i64,
    /// ISO 4217.
    pub currency: String,
}

/// The available products, by name.
///
/// # Errors
/// The database's.
pub async fn available(tx: &mut TenantTx) -> sqlx::Result<Vec<Product>> {
    sqlx::query_as!(
        Product,
        r#"
        select id, name, description, (price * 100)::bigint as "price_cents!", currency from products
        where customer_id = $1 and available
        order by lower(name)
        limit $2
        "#,
        tx.tenant(),
        MOST_SHOWN
    )
    .fetch_all(tx)
    .await
}

/// The product of a name, however it is accented and capitalised.
#[must_use]
pub fn find<'p>(catalogue: &'p [Product], name: &str) -> Option<&'p Product> {
    let wanted = key(name);
    catalogue.iter().find(|product| key(&product.name) == wanted)
}

fn key(name: &str) -> String {
    text::fold(name).split_whitespace().collect::<Vec<_>>().join(" ")
}
