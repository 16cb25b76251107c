//! The catalogue for the tenant's owner: list, create, change, archive and delete products.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    currency::{Amount, Currency, decimal_amount},
    db::TenantTx,
    error::ApiError,
    input,
    paging::{List, Listing, Paging, list_page},
};

/// Maximum length of a product's name, in characters.
pub(super) const MAX_NAME_CHARS: usize = 200;
/// Maximum length of a product's description, in characters.
pub(super) const MAX_DESCRIPTION_CHARS: usize = 2_000;

/// Name of a product, 1 to 200 characters.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 200)]
pub(super) struct ProductName(pub(super) String);

impl TryFrom<String> for ProductName {
    type Error = input::UnusableText;

    fn try_from(name: String) -> Result<Self, input::UnusableText> {
        input::one_line(&name, 1, MAX_NAME_CHARS).map(Self)
    }
}

/// Description of a product, 1 to 2,000 characters in several lines.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 2_000)]
pub(super) struct Description(pub(super) String);

impl TryFrom<String> for Description {
    type Error = input::UnusableText;

    fn try_from(text: String) -> Result<Self, input::UnusableText> {
        input::several_lines(&text, 1, MAX_DESCRIPTION_CHARS).map(Self)
    }
}

/// A product of the catalogue, as shown to the tenant's owner.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "5d2f9b1c-0c7e-4a53-8a4e-3f1d2c4b5a69", "name": "Café moulu 250 g", "description": "Arabica de Man",
    "price": "2500", "currency": "XOF", "available": true, "archived_at": null,
    "created_at": "2026-11-23T09:30:06Z", "updated_at": "2026-11-23T09:30:06Z",
}))]
pub struct CatalogueProduct {
    id: Uuid,
    name: String,
    #[schema(required)]
    description: Option<String>,
    /// Price as a decimal number, with the digits of its currency.
    price: String,
    /// ISO 4217 code.
    currency: String,
    /// True when the bot offers the product.
    available: bool,
    /// Time at which the product was taken out of the catalogue; null for a product of the catalogue.
    #[schema(required)]
    archived_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A row of `products`.
#[derive(Debug, Serialize)]
struct ProductRow {
    id: Uuid,
    name: String,
    description: Option<String>,
    price_cents: i64,
    currency: String,
    available: bool,
    archived_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<ProductRow> for CatalogueProduct {
    fn from(row: ProductRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            description: row.description,
            price: decimal_amount(row.price_cents, &row.currency),
            currency: row.currency,
            available: row.available,
            archived_at: row.archived_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// The filter of the list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProductFilter {
    /// Only products whose name contains this text, regardless of case and accents.
    #[param(value_type = Option<String>, min_length = 1, max_length = 200)]
    search: Option<ProductName>,
}

/// The sort fields and the statuses of the list.
#[derive(Debug)]
pub struct ProductListing;

impl Listing for ProductListing {
    const NAME: &'static str = "products";
    const SORTS: &'static [&'static str] = &["created_at", "name"];
    const STATUSES: &'static [&'static str] = &["available", "unavailable", "archived"];
}

/// Returns a page of the tenant's products. Archived products are listed with their status only.
///
/// # Errors
/// 422 for a cursor that was tampered with; a database error.
pub async fn list(
    tx: &mut TenantTx,
    filter: &ProductFilter,
    paging: &Paging,
) -> Result<List<CatalogueProduct>, ApiError> {
    let rows = list_page!(tx, paging, ProductRow {
        select: r#"id, name, description, (price * 100)::bigint as "price_cents!", currency, available, archived_at,
            created_at, updated_at"#,
        from: "products where customer_id = $1 and (archived_at is not null) = ($2::text is not distinct from 'archived')
            and ($2::text is null or $2 = 'archived' or available = ($2 = 'available'))
            and ($3::text is null or position(app.fold_name($3) in coalesce(name_key, app.fold_name(name))) > 0)",
        bind: [paging.status, filter.search.as_ref().map(|search| search.0.as_str())],
        order: [
            "created_at": "created_at" "timestamptz" DateTime<Utc> = created_at,
            "name": "name" "text" String = name,
        ],
        id: "id" "uuid" Uuid = id,
    });
    rows.map(|rows| rows.map(CatalogueProduct::from))
}

/// Returns one product, archived ones too.
///
/// # Errors
/// 404 when there is no such product; a database error.
pub async fn get(tx: &mut TenantTx, id: Uuid) -> Result<CatalogueProduct, ApiError> {
    sqlx::query_as!(
        ProductRow,
        r#"
        select id, name, description, (price * 100)::bigint as "price_cents!", currency, available, archived_at,
            created_at, updated_at
        from products where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        id
    )
    .fetch_optional(tx)
    .await?
    .map(CatalogueProduct::from)
    .ok_or_else(|| ApiError::not_found("product"))
}

/// A product to be added to the catalogue.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "name": "Café moulu 250 g", "description": "Arabica de Man", "price": "2500", "currency": "XOF" }))]
pub struct NewProduct {
    name: ProductName,
    #[serde(default)]
    description: Option<Description>,
    /// Price as a decimal number with at most two digits after the point, for example `"2500"` or `"12.50"`. A currency
    /// without a minor unit has whole prices.
    #[schema(value_type = String, pattern = r"^[0-9]+(\.[0-9]+)?$", example = "2500")]
    price: Amount,
    /// ISO 4217 code; the company's currency by default.
    #[serde(default)]
    currency: Option<Currency>,
    /// True when the bot offers the product.
    #[serde(default = "is_offered")]
    #[schema(default = true)]
    available: bool,
}

const fn is_offered() -> bool {
    true
}

/// Reasons for which a product is not written.
#[derive(Debug, thiserror::Error)]
enum ProductError {
    /// A product of the catalogue has the name.
    #[error("the catalogue has a product of this name")]
    NameTaken(Option<Uuid>),
    /// An archived product cannot be offered.
    #[error("the product is archived")]
    Archived,
    /// A database error.
    #[error(transparent)]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for ProductError {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error().and_then(|error| error.constraint()) {
            Some("products_name_key") => Self::NameTaken(None),
            Some("products_archived_is_unavailable") => Self::Archived,
            _ => Self::Database(error),
        }
    }
}

impl From<ProductError> for ApiError {
    fn from(error: ProductError) -> Self {
        match error {
            ProductError::NameTaken(known) => {
                let message = "the catalogue has a product of this name already";
                Self::conflict("product_name_taken", message)
                    .with_details(json!({ "field": "name", "product_id": known }))
            }
            ProductError::Archived => {
                let message = "an archived product is not offered: set archived to false first";
                Self::conflict("product_archived", message)
            }
            ProductError::Database(error) => error.into(),
        }
    }
}

/// Adds a product to the catalogue.
///
/// # Errors
/// 409 `product_name_taken` when a product of the catalogue has the name; 422 for a price that its currency does not
/// have; a database error.
pub async fn create(tx: &mut TenantTx, product: &NewProduct) -> Result<CatalogueProduct, ApiError> {
    let currency = match &product.currency {
        Some(currency) => currency.as_str().to_owned(),
        None => tenant_currency(tx).await?,
    };
    ensure_price(product.price, &currency)?;
    let created = sqlx::query_scalar!(
        r#"
        insert into products (customer_id, name, description, price, currency, available)
        values ($1, $2, $3, $4::bigint / 100.0, $5, $6)
        on conflict (customer_id, name_key) where archived_at is null do nothing
        returning id
        "#,
        tx.tenant(),
        product.name.0,
        product.description.as_ref().map(|text| text.0.as_str()),
        product.price.cents(),
        currency,
        product.available
    )
    .fetch_optional(&mut *tx)
    .await?;
    match created {
        Some(id) => get(tx, id).await,
        None => {
            let known = sqlx::query_scalar!(
                "select id from products where customer_id = $1 and name_key = app.fold_name($2) and archived_at is null",
                tx.tenant(),
                product.name.0
            )
            .fetch_optional(tx)
            .await?;
            Err(ProductError::NameTaken(known).into())
        }
    }
}

/// Returns the tenant's currency, an ISO 4217 code.
pub(super) async fn tenant_currency(tx: &mut TenantTx) -> sqlx::Result<String> {
    sqlx::query_scalar!("select currency from customers where id = $1", tx.tenant()).fetch_one(tx).await
}

fn ensure_price(price: Amount, currency: &str) -> Result<(), ApiError> {
    price.ensure_payable_in(currency).map_err(|wrong| ApiError::field("price", wrong.to_string()).with_source(wrong))
}

/// A change of a product. Absent fields stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "price": "2750", "available": false }))]
pub struct ProductPatch {
    #[serde(default)]
    name: Option<ProductName>,
    /// Null removes the description.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2_000)]
    description: Option<Option<Description>>,
    /// Price as a decimal number with at most two digits after the point.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = r"^[0-9]+(\.[0-9]+)?$")]
    price: Option<Amount>,
    #[serde(default)]
    currency: Option<Currency>,
    #[serde(default)]
    available: Option<bool>,
    /// True takes the product out of the catalogue; false brings it back.
    #[serde(default)]
    archived: Option<bool>,
}

/// Changes a product. Prices of orders that name it stay as they are.
///
/// # Errors
/// 404 when there is no such product; 409 `product_name_taken`, or `product_archived` for an archived product that is to
/// be offered; 422 for a price that its currency does not have; a database error.
pub async fn change(tx: &mut TenantTx, id: Uuid, patch: &ProductPatch) -> Result<CatalogueProduct, ApiError> {
    let known = sqlx::query!(
        r#"
        select (price * 100)::bigint as "price_cents!", currency from products
        where customer_id = $1 and id = $2 for update
        "#,
        tx.tenant(),
        id
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| ApiError::not_found("product"))?;
    if patch.price.is_some() || patch.currency.is_some() {
        let currency = patch.currency.as_ref().map_or(known.currency.as_str(), Currency::as_str);
        ensure_price(patch.price.unwrap_or(Amount::from_cents(known.price_cents)), currency)?;
    }
    sqlx::query!(
        r#"
        update products set
            name = coalesce($3, name),
            description = case when $4 then $5 else description end,
            price = coalesce($6::bigint / 100.0, price),
            currency = coalesce($7, currency),
            available = coalesce($8, available and not coalesce($9, false)),
            archived_at = case $9 when true then coalesce(archived_at, now()) when false then null else archived_at end,
            updated_at = now()
        where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        id,
        patch.name.as_ref().map(|name| name.0.as_str()),
        patch.description.is_some(),
        patch.description.as_ref().and_then(Option::as_ref).map(|text| text.0.as_str()),
        patch.price.map(Amount::cents),
        patch.currency.as_ref().map(Currency::as_str),
        patch.available,
        patch.archived
    )
    .execute(&mut *tx)
    .await
    .map_err(ProductError::from)?;
    get(tx, id).await
}

/// Deletes a product, or archives it when an order, or an order that the bot has proposed, names it. An archived product stays as it is.
///
/// # Errors
/// 404 when there is no such product; a database error.
pub async fn remove(tx: &mut TenantTx, id: Uuid) -> Result<(), ApiError> {
    // An order that names the product locks it in key share mode: it is either seen below, or finds no product.
    let known = sqlx::query!("select from products where customer_id = $1 and id = $2 for update", tx.tenant(), id)
        .execute(&mut *tx)
        .await?;
    if known.rows_affected() == 0 {
        return Err(ApiError::not_found("product"));
    }
    let is_ordered = sqlx::query_scalar!(
        r#"
        select exists (
            select from orders
            where company_id = $1 and items @> jsonb_build_array(jsonb_build_object('product_id', $2::uuid))
        ) or exists (
            select from conversations
            where customer_id = $1 and order_draft is not null
              and order_draft -> 'items' @> jsonb_build_array(jsonb_build_object('product_id', $2::uuid))
        ) as "is_ordered!"
        "#,
        tx.tenant(),
        id
    )
    .fetch_one(&mut *tx)
    .await?;
    if is_ordered {
        sqlx::query!(
            r#"
            update products set available = false, archived_at = coalesce(archived_at, now()), updated_at = now()
            where customer_id = $1 and id = $2
            "#,
            tx.tenant(),
            id
        )
        .execute(tx)
        .await?;
    } else {
        sqlx::query!("delete from products where customer_id = $1 and id = $2", tx.tenant(), id).execute(tx).await?;
    }
    Ok(())
}
