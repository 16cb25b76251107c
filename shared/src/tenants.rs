//! Tenants: `customers` and what is made with one: its owner's membership, its TEXT name, its configuration.

mod own;

use chrono::{DateTime, Utc};
use rand::Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    audit::{self, Entry},
    db::SystemTx,
    error::ApiError,
    input, text,
};

pub use own::{
    CustomerDetails, CustomerPatch, ManyChatKey, NewKey, NewWebhookSecret, WebhookSecret, change, details,
    rotate_webhook_secret,
};

/// The name of a company, 1 to 200 characters.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 200)]
pub struct CompanyName(String);

impl TryFrom<String> for CompanyName {
    type Error = input::UnusableText;

    fn try_from(name: String) -> Result<Self, input::UnusableText> {
        input::one_line(&name, 1, 200).map(Self)
    }
}

impl CompanyName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A tenant, as its members see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "c1a7e2b4-3f5d-4c6e-8a90-1b2c3d4e5f60", "name": "Comptoir Baobab", "company_id": "comptoir-baobab",
    "created_at": "2026-11-23T09:30:06Z",
}))]
pub struct Customer {
    /// The tenant.
    pub id: Uuid,
    /// What it is called.
    pub name: String,
    /// The name that the older tables know it by.
    pub company_id: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// Why a tenant could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    /// The user owns one already.
    #[error("the user owns a company already")]
    OwnsOne,
    /// The invitation is unknown, used or expired.
    #[error("the invitation is not valid")]
    InvalidInvitation,
    /// The database said so.
    #[error(transparent)]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for TenantError {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error().and_then(|error| error.constraint()) {
            Some("customers_user_id_key") => Self::OwnsOne,
            _ => Self::Database(error),
        }
    }
}

impl From<TenantError> for ApiError {
    fn from(error: TenantError) -> Self {
        match error {
            TenantError::OwnsOne => Self::conflict("company_exists", "you own a company already"),
            TenantError::InvalidInvitation => {
                Self::field("invitation", "is unknown, was used already, or is no longer valid")
            }
            TenantError::Database(error) => error.into(),
        }
    }
}

/// Makes a tenant with its owner, its `company_id` and its configuration, all in the caller's transaction.
///
/// # Errors
/// [`TenantError::OwnsOne`], or the database's.
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
    let company_id = map_company(tx, row.id, owner, name).await?;
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

/// Gives the tenant a `company_id`: a slug of its name, made unique. Two tenants of one name at once are settled by the
/// constraint, not by looking first.
async fn map_company(tx: &mut SystemTx, tenant: Uuid, owner: Uuid, name: &CompanyName) -> sqlx::Result<String> {
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

/// Lower-case ASCII letters, digits and hyphens.
fn slug(name: &str) -> String {
    let folded = text::fold(name);
    let words: Vec<_> =
        folded.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let mut slug = words.join("-");
    slug.truncate(60);
    let slug = slug.trim_matches('-');
    // A name in another script leaves nothing.
    if slug.is_empty() { "company".to_owned() } else { slug.to_owned() }
}

/// Adds a user as a support user by an invitation, which is used up by it.
///
/// # Errors
/// [`TenantError::InvalidInvitation`], or the database's.
pub async fn accept_invitation(
    tx: &mut SystemTx,
    user: Uuid,
    email: &str,
    token: &str,
) -> Result<Customer, TenantError> {
    let row = sqlx::query!(
        r#"
        with invitation as (
            update invitations set used_at = now(), used_by = $1
            where token_sha256 = $2 and used_at is null and expires_at > now()
              and (email is null or lower(email) = lower($3))
            returning customer_id
        ), member as (
            insert into customer_members (customer_id, user_id, role)
            select customer_id, $1, 'support' from invitation
            on conflict on constraint customer_members_pkey do nothing
        )
        select tenant.id, tenant.name, mapping.company_id, tenant.created_at
        from invitation
        join customers tenant on tenant.id = invitation.customer_id and tenant.deleted_at is null
        join company_mapping mapping on mapping.uuid = tenant.id
        "#,
        user,
        &sha256(token.as_bytes()),
        email
    )
    .fetch_optional(tx)
    .await?
    .ok_or(TenantError::InvalidInvitation)?;
    Ok(Customer { id: row.id, name: row.name, company_id: row.company_id, created_at: row.created_at })
}

/// The tenant that a user works for first: the one that sign-in shows.
///
/// # Errors
/// The database's.
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

/// What a tenant's ManyChat key is sealed for.
pub const MANYCHAT_KEY: &str = "manychat_api_key";

/// A sealed key of a tenant.
#[derive(Debug)]
pub struct SealedKey {
    /// The tenant.
    pub customer_id: Uuid,
    /// See [`crate::sealed`].
    pub sealed: Vec<u8>,
}

/// Sealed ManyChat keys in the order of their tenants, after one.
///
/// # Errors
/// The database's.
pub async fn sealed_keys(tx: &mut SystemTx, after: Uuid, most: i64) -> sqlx::Result<Vec<SealedKey>> {
    sqlx::query_as!(
        SealedKey,
        r#"
        select id as customer_id, manychat_api_key as "sealed!" from customers
        where manychat_api_key is not null and id > $1
        order by id
        limit $2
        "#,
        after,
        most
    )
    .fetch_all(tx)
    .await
}

/// Puts a key that was sealed anew in the place of the one it was made of; false when that is there no more. The change
/// is in the tenant's audit log.
///
/// # Errors
/// The database's.
pub async fn replace_sealed_key(tx: &mut SystemTx, key: &SealedKey, anew: &[u8]) -> sqlx::Result<bool> {
    let replaced = sqlx::query!(
        "update customers set manychat_api_key = $3 where id = $1 and manychat_api_key = $2",
        key.customer_id,
        key.sealed,
        anew
    )
    .execute(&mut *tx)
    .await?
    .rows_affected()
        > 0;
    if replaced {
        let entry = Entry {
            actor: None,
            action: "key.resealed",
            object: format!("customer:{}", key.customer_id),
            request_id: None,
            details: serde_json::json!({ "key": MANYCHAT_KEY }),
        };
        audit::record_for(tx, Some(key.customer_id), &entry).await?;
    }
    Ok(replaced)
}

/// A secret of 256 random bits, with a prefix that secret scanners and people recognise.
#[must_use]
pub fn random_secret(prefix: &str) -> String {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    format!("{prefix}_{}", hex::encode(bytes))
}

/// What is stored of a token: it has 256 random bits, so a plain hash cannot be guessed back.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_plain() {
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
