//! Who is calling, as extractor types: a handler's signature states who may call it, and nothing runs before it is
//! settled.
//!
//! | type | who |
//! | --- | --- |
//! | [`Identity`] | anybody with a valid token: a person or a service |
//! | [`SignedIn`] | a person |
//! | [`Caller<SupportUser>`] | a member of the tenant |
//! | [`Caller<AccountUser>`] | the owner of the tenant |

use std::marker::PhantomData;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{header, request::Parts},
};
use sqlx::Row;
use uuid::Uuid;

use super::tokens::{Claims, InvalidToken, VerificationKeys};
use crate::{db::Db, error::ApiError};

/// The header by which a user of several tenants names one.
const TENANT_HEADER: &str = "x-customer-id";

/// A valid token's claims.
#[derive(Debug, Clone)]
pub struct Identity(pub Claims);

/// A person.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// `users.id`, the token's `sub`.
    pub user: Uuid,
    /// The session that the token belongs to, where its issuer keeps one.
    pub session: Option<Uuid>,
}

/// A member of a tenant that is in use.
#[derive(Debug, Clone)]
pub struct Caller<Role> {
    /// `users.id`, the token's `sub`.
    pub user: Uuid,
    tenant: Uuid,
    owner: Uuid,
    role: PhantomData<Role>,
}

/// Any member.
#[derive(Debug, Clone)]
pub struct SupportUser;

/// The owner.
#[derive(Debug, Clone)]
pub struct AccountUser;

/// A role within a tenant. The membership decides it, not the token.
pub trait TenantRole: Send + Sync {
    /// Whether a membership of this kind has the role.
    fn includes(membership: &str) -> bool;
}

impl TenantRole for SupportUser {
    fn includes(membership: &str) -> bool {
        matches!(membership, "support" | "owner")
    }
}

impl TenantRole for AccountUser {
    fn includes(membership: &str) -> bool {
        membership == "owner"
    }
}

impl<Role> Caller<Role> {
    /// The tenant, `customers.id`.
    #[must_use]
    pub fn tenant(&self) -> Uuid {
        self.tenant
    }

    /// The tenant's owner, whose quota is used.
    #[must_use]
    pub fn owner(&self) -> Uuid {
        self.owner
    }
}

impl<S> FromRequestParts<S> for Identity
where
    S: Send + Sync,
    VerificationKeys: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let keys = VerificationKeys::from_ref(state);
        match keys.verify(bearer(parts)?).await {
            Ok(claims) => Ok(Self(claims)),
            Err(error @ InvalidToken::KeysUnreachable(_)) => Err(ApiError::unavailable().because(error)),
            Err(error) => Err(ApiError::unauthorized().because(error)),
        }
    }
}

fn bearer(parts: &Parts) -> Result<&str, ApiError> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(ApiError::unauthorized()) };
    let value = value.to_str().or(Err(ApiError::unauthorized()))?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(ApiError::unauthorized()),
    }
}

impl<S> FromRequestParts<S> for SignedIn
where
    S: Send + Sync,
    VerificationKeys: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Identity(claims) = Identity::from_request_parts(parts, state).await?;
        match claims.sub {
            Some(user) if !claims.is_service() => Ok(Self { user, session: claims.session_id }),
            _ => Err(ApiError::forbidden("forbidden", "this is for people, not for services")),
        }
    }
}

impl<S, Role> FromRequestParts<S> for Caller<Role>
where
    S: Send + Sync,
    Role: TenantRole,
    VerificationKeys: FromRef<S>,
    Db: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let SignedIn { user, .. } = SignedIn::from_request_parts(parts, state).await?;
        let wanted = wanted_tenant(parts)?;
        let rows = Db::from_ref(state).identify("app.memberships", &[Some(user), wanted]).await?;
        let memberships = rows.iter().map(Membership::from_row).collect::<Result<Vec<_>, _>>()?;
        let membership = choose(&memberships, wanted.is_some())?;
        tracing::Span::current().record("tenant_id", tracing::field::display(membership.tenant));
        if !Role::includes(&membership.role) {
            return Err(ApiError::forbidden("forbidden", "only the owner of the company may do this"));
        }
        Ok(Self { user, tenant: membership.tenant, owner: membership.owner, role: PhantomData })
    }
}

fn wanted_tenant(parts: &Parts) -> Result<Option<Uuid>, ApiError> {
    let Some(value) = parts.headers.get(TENANT_HEADER) else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(|text| Uuid::try_parse(text.trim()).ok());
    parsed.map(Some).ok_or_else(|| ApiError::field("X-Customer-Id", "must be a UUID"))
}

/// One row of `app.memberships`.
#[derive(Debug)]
struct Membership {
    tenant: Uuid,
    owner: Uuid,
    role: String,
    suspended: bool,
    deleted: bool,
}

impl Membership {
    fn from_row(row: &sqlx::postgres::PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            tenant: row.try_get("customer_id")?,
            owner: row.try_get("owner_id")?,
            role: row.try_get("role")?,
            suspended: row.try_get("suspended")?,
            deleted: row.try_get("deleted")?,
        })
    }
}

/// Those in use come first, so a deleted second tenant does not make the first one ambiguous.
fn choose(memberships: &[Membership], is_named: bool) -> Result<&Membership, ApiError> {
    match memberships {
        [] if is_named => Err(ApiError::not_found("company")),
        [] => Err(tenant_required("you belong to no company yet: create one first")),
        [_, second, ..] if !second.deleted => {
            Err(tenant_required("you belong to several companies: name one in the header X-Customer-Id"))
        }
        [first, ..] if first.deleted => Err(ApiError::forbidden("tenant_deleted", "this company is deleted")),
        [first, ..] if first.suspended => Err(ApiError::forbidden("tenant_suspended", "this company is suspended")),
        [first, ..] => Ok(first),
    }
}

fn tenant_required(message: &str) -> ApiError {
    ApiError::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, "tenant_required", message)
}
