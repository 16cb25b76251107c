//! Tenants: creation and sealed keys. Owns the tables `customers` and `company_mapping`; creates each tenant's row in
//! `company_rag_configs` and the membership of its owner.
//!
//! Triggers: `company_rag_configs_version` on `company_rag_configs` (`app.keep_config_version`), and
//! `customers_plan_changed` on `customers` (`app.on_plan_changed`); `customers_renamed` on `customers`
//! (`app.on_customer_renamed`), by which `company_rag_configs.company_name` follows the company's name.

mod profile;
mod texts;
mod webhook_secrets;

use chrono::{DateTime, Utc};
use rand::Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    audit::{self, NewAuditEntry},
    db::{SystemTx, TenantTx},
    error::ApiError,
    input, text,
};

pub use profile::{CustomerDetails, CustomerPatch, ManyChatKey, NewManyChatKey, change, details};
pub use texts::{
    BothLanguages, CompanyLanguage, CompanyTexts, Identity, LocalizedText, LocalizedTextPatch, Sentence,
    SentencesInForce, identity,
};
pub use webhook_secrets::{
    NewWebhookSecret, RotationOutcome, SealedWebhookSecret, WEBHOOK_SECRET_PURPOSE, WebhookSecret,
    remove_sealed_secrets, replace_sealed_webhook_secret, rotate_webhook_secret, sealed_webhook_secrets,
};

/// Maximum length of a company's name, in characters.
pub const MAX_COMPANY_NAME_CHARS: usize = 200;

/// Name of a company, 1 to 200 characters.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 200)]
pub struct CompanyName(String);

impl TryFrom<String> for CompanyName {
    type Error = input::UnusableText;

    fn try_from(name: String) -> Result<Self, input::UnusableText> {
        input::one_line(&name, 1, MAX_COMPANY_NAME_CHARS).map(Self)
    }
}

impl CompanyName {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A tenant as shown to its members.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "c1a7e2b4-3f5d-4c6e-8a90-1b2c3d4e5f60", "name": "Comptoir Baobab", "company_id": "comptoir-baobab",
    "created_at": "2026-11-23T09:30:06Z",
}))]
pub struct Customer {
    /// Identifier of the tenant.
    pub id: Uuid,
    /// Name of the company.
    pub name: String,
    /// Text identifier of the tenant, used by the older tables.
    pub company_id: String,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
}

/// Error of creating a tenant.
#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    /// The user owns a tenant already.
    #[error("the user owns a company already")]
    AlreadyOwnsCompany,
    /// A database error.
    #[error(transparent)]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for TenantError {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error().and_then(|error| error.constraint()) {
            Some("customers_user_id_key") => Self::AlreadyOwnsCompany,
            _ => Self::Database(error),
        }
    }
}

impl From<TenantError> for ApiError {
    fn from(error: TenantError) -> Self {
        match error {
            TenantError::AlreadyOwnsCompany => Self::conflict("company_exists", "you own a company already"),
            TenantError::Database(error) => error.into(),
        }
    }
}

/// Creates a tenant with its owner's membership, its `company_id` and its configuration.
///
/// # Errors
/// Returns [`TenantError::AlreadyOwnsCompany`], or any database error.
pub async fn create(tx: &mut SystemTx, owner: Uuid, name: &CompanyName) -> Result<Customer, TenantError> {
    let row = sqlx::query!(
        r#"
        with tenant as (
            insert into customers (user_id, name, plan_id)
            values ($1, $2, (select id from plans where name = 'free'))
            returning id, name, created_at
        ), owner as (
            insert into customer_members (customer_id, user_id, role) select id, $1, 'owner' from tenant
        )
        select id, name, created_at from tenant
        "#,
        owner,
        name.as_str()
    )
    .fetch_one(&mut *tx)
    .await?;
    let company_id = insert_company_id(tx, row.id, owner, name).await?;
    sqlx::query!(
        "insert into company_rag_configs (company_id, user_id, company_name) values ($1, $2, $3)",
        company_id,
        owner,
        name.as_str()
    )
    .execute(tx)
    .await?;
    Ok(Customer { id: row.id, name: row.name, company_id, created_at: row.created_at })
}

/// Inserts the tenant's `company_id`: a slug of its name, with the tenant's UUID as a suffix when the slug is taken.
/// The unique constraint decides between two simultaneous tenants of one name, since a prior lookup would race.
async fn insert_company_id(tx: &mut SystemTx, tenant: Uuid, owner: Uuid, name: &CompanyName) -> sqlx::Result<String> {
    let slug = slug(name.as_str());
    let unique = format!("{slug}-{}", tenant.simple());
    sqlx::query_scalar!(
        r#"
        with plain as (
            insert into company_mapping (uuid, company_id, user_id) values ($1, $2, $4)
            on conflict on constraint company_mapping_company_id_key do nothing
            returning company_id
        ), suffixed as (
            insert into company_mapping (uuid, company_id, user_id)
            select $1, $3, $4 where not exists (select from plain)
            returning company_id
        )
        select company_id as "company_id!" from plain union all select company_id from suffixed
        "#,
        tenant,
        slug,
        unique,
        owner
    )
    .fetch_one(tx)
    .await
}

/// Returns a slug of at most 60 lower-case ASCII letters, digits and hyphens.
fn slug(name: &str) -> String {
    let folded = text::fold(name);
    let words: Vec<_> =
        folded.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let mut slug = words.join("-");
    slug.truncate(60);
    let slug = slug.trim_matches('-');
    // A name in a non-Latin script gives an empty slug.
    if slug.is_empty() { "company".to_owned() } else { slug.to_owned() }
}

/// Finds the user's tenant to be shown at sign-in: the oldest, with deleted tenants last.
///
/// # Errors
/// Returns any database error.
pub async fn find_first(tx: &mut SystemTx, user: Uuid) -> sqlx::Result<Option<Customer>> {
    sqlx::query_as!(
        Customer,
        r#"
        select tenant.id, tenant.name, mapping.company_id, tenant.created_at
        from customer_members member
        join customers tenant on tenant.id = member.customer_id
        join company_mapping mapping on mapping.uuid = tenant.id
        where member.user_id = $1
        order by tenant.deleted_at is not null, tenant.created_at, tenant.id
        limit 1
        "#,
        user
    )
    .fetch_optional(tx)
    .await
}

/// Returns the currency of the transaction's tenant, as an ISO 4217 code.
///
/// # Errors
/// Returns any database error.
pub async fn currency(tx: &mut TenantTx) -> sqlx::Result<String> {
    sqlx::query_scalar!("select currency from customers where id = $1", tx.tenant()).fetch_one(tx).await
}

/// Purpose under which a tenant's ManyChat key is sealed (encrypted). Also the name of its column in `customers`.
pub const MANYCHAT_KEY_PURPOSE: &str = "manychat_api_key";

/// Sealed (encrypted) ManyChat key of a tenant.
#[derive(Debug)]
pub struct SealedKey {
    /// Identifier of the tenant.
    pub customer_id: Uuid,
    /// Sealed key, in the format of [`crate::sealed`].
    pub sealed: Vec<u8>,
}

/// Returns up to `limit` sealed ManyChat keys, in the order of their tenants' ids, of tenants after `after`.
///
/// # Errors
/// Returns any database error.
pub async fn sealed_keys(tx: &mut SystemTx, after: Uuid, limit: i64) -> sqlx::Result<Vec<SealedKey>> {
    sqlx::query_as!(
        SealedKey,
        r#"
        select id as customer_id, manychat_api_key as "sealed!" from customers
        where manychat_api_key is not null and id > $1
        order by id
        limit $2
        "#,
        after,
        limit
    )
    .fetch_all(tx)
    .await
}

/// Replaces a sealed key by `resealed` and records the change in the tenant's audit log. Returns false, and changes
/// nothing, when the tenant's key is no longer `key`.
///
/// # Errors
/// Returns any database error.
pub async fn replace_sealed_key(tx: &mut SystemTx, key: &SealedKey, resealed: &[u8]) -> sqlx::Result<bool> {
    let replaced = sqlx::query!(
        "update customers set manychat_api_key = $3 where id = $1 and manychat_api_key = $2",
        key.customer_id,
        key.sealed,
        resealed
    )
    .execute(&mut *tx)
    .await?
    .rows_affected()
        > 0;
    if replaced {
        let entry = NewAuditEntry {
            actor: None,
            action: "key.resealed",
            object: format!("customer:{}", key.customer_id),
            request_id: None,
            details: serde_json::json!({ "key": MANYCHAT_KEY_PURPOSE }),
        };
        audit::record_for(tx, Some(key.customer_id), &entry).await?;
    }
    Ok(replaced)
}

/// Generates a secret of 256 random bits in hexadecimal, after a prefix by which people and secret scanners recognise
/// it.
#[must_use]
pub fn random_secret(prefix: &str) -> String {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    format!("{prefix}_{}", hex::encode(bytes))
}

/// Returns the SHA-256 under which a token is stored. A token has 256 random bits, so an unsalted hash cannot be
/// reversed by guessing.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_hold_only_ascii_letters_digits_and_hyphens() {
        for (name, expected) in [
            ("Comptoir Baobab", "comptoir-baobab"),
            ("  L'Épicerie d'Awa & Fils ", "l-epicerie-d-awa-fils"),
            ("東京", "company"),
            ("--", "company"),
        ] {
            assert_eq!(slug(name), expected, "{name}");
        }
        assert!(slug(&"long name ".repeat(30)).len() <= 60);
    }
}
