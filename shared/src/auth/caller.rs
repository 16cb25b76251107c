//! Who is calling, as extractor types: a handler's signature states who may call it, and nothing runs before it is
//! settled.
//!
//! | type | who |
//! | --- | --- |
//! | [`Open`] | anybody, and not counted |
//! | [`Public`] | anybody, counted by address |
//! | [`Identity`] | anybody with a valid token: a person or a service |
//! | [`SignedIn`] | a person |
//! | [`Caller<SupportUser>`] | a member of the tenant |
//! | [`Caller<AccountUser>`] | the owner of the tenant |
//! | [`ManyChatCall`](super::ManyChatCall) | a tenant's ManyChat bot |
//! | [`StripeEvent`](crate::stripe::StripeEvent) | Stripe, by its signature |

use std::{marker::PhantomData, net::IpAddr};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{header, request::Parts},
};
use sqlx::Row;
use uuid::Uuid;

use super::tokens::{Claims, InvalidToken, VerificationKeys};
use crate::{
    db::Db,
    error::ApiError,
    http::{ClientAddress, RequestId, note},
    rate_limits::{RateLimits, Who},
};

/// The header by which a user of several tenants names one.
const TENANT_HEADER: &str = "x-customer-id";

/// A valid token's claims.
#[derive(Debug, Clone)]
pub struct Identity(pub Claims);

/// Anybody, as often as API Gateway lets them: for what costs nothing to answer, and is asked without a person behind it.
#[derive(Debug, Clone, Copy)]
pub struct Open;

/// Anybody. In a signature it says that a route is public on purpose; it counts the caller's address.
#[derive(Debug, Clone, Copy)]
pub struct Public {
    /// The address that API Gateway saw.
    pub address: IpAddr,
}

/// A person.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// `users.id`, the token's `sub`.
    pub user: Uuid,
    /// The session that the token belongs to, where its issuer keeps one.
    pub session: Option<Uuid>,
    /// The request, for the audit log.
    pub request_id: String,
}

/// A member of a tenant that is in use.
#[derive(Debug, Clone)]
pub struct Caller<Role> {
    /// `users.id`, the token's `sub`.
    pub user: Uuid,
    /// The request, for the audit log.
    pub request_id: String,
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

    /// Whether the caller only supports the tenant: what such a caller reads is in the audit log.
    #[must_use]
    pub fn is_support(&self) -> bool {
        self.user != self.owner
    }

    /// The tenant's owner, whose quota is used.
    #[must_use]
    pub fn owner(&self) -> Uuid {
        self.owner
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Open {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self)
    }
}

impl<S> FromRequestParts<S> for Public
where
    S: Send + Sync,
    RateLimits: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Ok(ClientAddress(address)) = ClientAddress::from_request_parts(parts, state).await;
        let standing = RateLimits::from_ref(state).check_anonymous(&Who::Address(address)).await?;
        note(parts, standing);
        Ok(Self { address })
    }
}

impl<S> FromRequestParts<S> for Identity
where
    S: Send + Sync,
    VerificationKeys: FromRef<S>,
    RateLimits: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let limits = RateLimits::from_ref(state);
        let verified = match bearer(parts) {
            Ok(token) => VerificationKeys::from_ref(state).verify(token).await,
            Err(missing) => {
                Public::from_request_parts(parts, state).await?;
                return Err(missing);
            }
        };
        match verified {
            Ok(claims) => {
                // Other back ends speak for many users: they are limited by what they forward.
                if let Some(user) = claims.sub.filter(|_| !claims.is_service())
                    && let Some(standing) = limits.check(&Who::User(user)).await?
                {
                    note(parts, standing);
                }
                Ok(Self(claims))
            }
            Err(error @ InvalidToken::KeysUnreachable(_)) => Err(ApiError::unavailable().because(error)),
            Err(error) => {
                // A token that does not count is no token: whoever tries many is counted by address.
                Public::from_request_parts(parts, state).await?;
                Err(ApiError::unauthorized().because(error))
            }
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
    RateLimits: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Identity(claims) = Identity::from_request_parts(parts, state).await?;
        match claims.sub {
            Some(user) if !claims.is_service() => {
                let Ok(RequestId(request_id)) = RequestId::from_request_parts(parts, state).await;
                Ok(Self { user, session: claims.session_id, request_id })
            }
            _ => Err(ApiError::forbidden("forbidden", "this is for people, not for services")),
        }
    }
}

impl<S, Role> FromRequestParts<S> for Caller<Role>
where
    S: Send + Sync,
    Role: TenantRole,
    VerificationKeys: FromRef<S>,
    RateLimits: FromRef<S>,
    Db: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let SignedIn { user, request_id, .. } = SignedIn::from_request_parts(parts, state).await?;
        let wanted = wanted_tenant(parts)?;
        let rows = Db::from_ref(state).identify("app.memberships", &[Some(user), wanted]).await?;
        let memberships = rows.iter().map(Membership::from_row).collect::<Result<Vec<_>, _>>()?;
        let membership = match choose(&memberships, wanted.is_some()) {
            Err(_) if memberships.is_empty() && Db::from_ref(state).is_global_admin(user).await? => {
                let message = "this is for members of the company: administrators have routes of their own";
                return Err(ApiError::forbidden("forbidden", message));
            }
            chosen => chosen?,
        };
        tracing::Span::current().record("tenant_id", tracing::field::display(membership.tenant));
        if !Role::includes(&membership.role) {
            return Err(ApiError::forbidden("forbidden", "only the owner of the company may do this"));
        }
        Ok(Self { user, request_id, tenant: membership.tenant, owner: membership.owner, role: PhantomData })
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
