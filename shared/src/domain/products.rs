//! Table `products`: the catalogue of a tenant. The model names products; their prices come from this table only.
//!
//! SQL function: `app.fold_name`, by which names are compared. Trigger: `products_name_key` on `products`
//! (`app.set_product_name_key`).

mod catalogue;
mod import;
mod quote;

use uuid::Uuid;

use crate::{db::TenantTx, input, text};

pub use catalogue::{
    CatalogueProduct, NewProduct, ProductFilter, ProductListing, ProductPatch, change, create, get, list, remove,
};
pub use import::{MAX_IMPORT_ROWS, ProductImport, count_csv_rows, import};
pub use quote::{CatalogueMatch, QUOTE_MODEL, match_catalogue};

/// Products that are listed in a model's prompt, besides those that are named.
const MAX_CATALOGUE_PRODUCTS: i64 = 200;
/// Products that a text names.
const MAX_NAMED_PRODUCTS: i64 = 50;

/// An available product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// `products.id`.
    pub id: Uuid,
    /// The product's name.
    pub name: String,
    /// The product's description.
    pub description: Option<String>,
    /// Price in hundredths of the currency, also for currencies without hundredths.
    pub price_cents: i64,
    /// ISO 4217.
    pub currency: String,
}

/// Returns the available products, ordered by name: those whose whole names are in the text `said`, and the first ones
/// of a larger catalogue, at most `MAX_CATALOGUE_PRODUCTS`. The companies' own systems write the table, so the rule for
/// names is applied here, where a name goes into prompts and messages.
///
/// # Errors
/// A database error.
pub async fn list_available(tx: &mut TenantTx, said: &str) -> sqlx::Result<Vec<Product>> {
    let mut products = sqlx::query_as!(
        Product,
        r#"
        select id, name, description, (price * 100)::bigint as "price_cents!", currency from products
        where customer_id = $1 and id in (
            select first.id from (
                select id from products where customer_id = $1 and available and archived_at is null
                order by name_key, id limit $2
            ) first
            union all
            select named.id from (
                select id from products where customer_id = $1 and available and archived_at is null
                  and position(name_key in app.fold_name($3)) > 0
                order by length(name_key) desc, id limit $4
            ) named
        )
        order by name_key, id
        "#,
        tx.tenant(),
        MAX_CATALOGUE_PRODUCTS,
        said,
        MAX_NAMED_PRODUCTS
    )
    .fetch_all(tx)
    .await?;
    for product in &mut products {
        product.name = input::visible_name(&product.name);
    }
    Ok(products)
}

/// Finds a product by name, regardless of case, accents and white space.
#[must_use]
pub fn find<'p>(catalogue: &'p [Product], name: &str) -> Option<&'p Product> {
    let normalized = normalized_name(name);
    catalogue.iter().find(|product| normalized_name(&product.name) == normalized)
}

fn normalized_name(name: &str) -> String {
    text::fold(name).split_whitespace().collect::<Vec<_>>().join(" ")
}
