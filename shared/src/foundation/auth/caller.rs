//! Callers of a route, as extractor types. A handler's signature states who may call it, and axum checks the caller
//! before the handler runs.
//!
//! | type | permitted callers |
//! | --- | --- |
//! | [`Unmetered`] | anybody, without a rate limit |
//! | [`Public`] | anybody, rate-limited by IP address |
//! | [`Identity`] | anybody with a valid token: a person or a service |
//! | [`SignedInUser`] | a person with a valid token |
//! | [`MemberOrService`](super::MemberOrService) | a member of the tenant, or a service that asks for one |
//! | [`Caller<SupportUser>`] | a member of the tenant |
//! | [`Caller<AccountUser>`] | the owner of the tenant |
//! | [`Caller<ReturningAccountUser>`] | the owner of the tenant, also when the tenant is deleted |
//! | [`Administrator`](super::Administrator) | a global administrator |
//! | [`ManyChatCall`](super::ManyChatCall) | a tenant's ManyChat bot |
//! | `StripeEvent` of the module `stripe` | Stripe, by the request's signature |

use std::{marker::PhantomData, net::IpAddr};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{header, request::Parts},
};
use serde_json::Value;
use sqlx::Row;
use uuid::Uuid;

use super::tokens::{Claims, InvalidToken, VerificationKeys};
use crate::{
    audit::{self, NewAuditEntry},
    db::{DELETED_ROLE, Db, TenantTx},
    error::ApiError,
    http::{ClientAddress, RequestId, record_rate_limit, refuse_unknown_parameters},
    rate_limits::{RateLimitKey, RateLimits},
    telemetry,
};

/// Header in which a user of several tenants names one of them.
const TENANT_HEADER: &str = "x-customer-id";

/// Anybody with a valid token: a person or a service. Holds the token's claims.
#[derive(Debug, Clone)]
pub struct Identity(pub Claims);

/// Anybody, without a rate limit of the application; API Gateway's throttling still applies. For routes that cost
/// nothing and are called by machines, such as health checks.
#[derive(Debug, Clone, Copy)]
pub struct Unmetered;

/// Anybody, rate-limited by IP address. In a handler's signature, states that the route is public on purpose.
#[derive(Debug, Clone, Copy)]
pub struct Public {
    /// IP address of the client, as seen by API Gateway.
    pub address: IpAddr,
}

/// A person with a valid token.
#[derive(Debug, Clone)]
pub struct SignedInUser {
    /// `users.id`, the token's `sub`.
    pub user: Uuid,
    /// E-mail address at the time of the token's issue, for information only.
    pub email: Option<String>,
    /// Session of the token; `None` when its issuer keeps no sessions.
    pub session: Option<Uuid>,
    /// Request ID, for the audit log.
    pub request_id: String,
}

/// A member with the role `Role` of a tenant that is neither suspended nor deleted. Only [`ReturningAccountUser`] may belong
/// to a deleted one.
#[derive(Debug, Clone)]
pub struct Caller<Role> {
    /// `users.id`, the token's `sub`.
    pub user: Uuid,
    /// Request ID, for the audit log.
    pub request_id: String,
    tenant: Uuid,
    owner: Uuid,
    role: PhantomData<Role>,
}

/// Role of any member of a tenant.
#[derive(Debug, Clone)]
pub struct SupportUser;

/// Role of the owner of a tenant.
#[derive(Debug, Clone)]
pub struct AccountUser;

/// Role of the owner of a tenant that may be deleted, for the restoration of the account.
#[derive(Debug, Clone)]
pub struct ReturningAccountUser;

/// Role within a tenant. The row in `customer_members` decides the role, not the token.
pub trait TenantRole: Send + Sync {
    /// True when the tenant may be deleted.
    const MAY_BE_DELETED: bool = false;

    /// Returns true when a membership of this kind (`customer_members.role`) includes the role.
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

impl TenantRole for ReturningAccountUser {
    const MAY_BE_DELETED: bool = true;

    fn includes(membership: &str) -> bool {
        membership == "owner"
    }
}

impl<Role> Caller<Role> {
    /// Returns the tenant, `customers.id`.
    #[must_use]
    pub fn tenant(&self) -> Uuid {
        self.tenant
    }

    /// Returns true when the caller is a support user and not the owner. Private, because a handler has one use for it:
    /// recording reads. `Caller::read_tx` does that.
    pub(super) fn is_support(&self) -> bool {
        self.user != self.owner
    }

    /// Returns the tenant's owner, whose quota is charged.
    #[must_use]
    pub fn owner(&self) -> Uuid {
        self.owner
    }

    /// Writes an entry about what the caller does into the tenant's audit log, in the transaction that does it. `object`
    /// names the kind and the id, as in `customer:<id>`.
    ///
    /// # Errors
    /// Returns any database error.
    pub async fn record(
        &self,
        tx: &mut TenantTx,
        action: &'static str,
        object: String,
        details: Value,
    ) -> sqlx::Result<()> {
        let request_id = Some(self.request_id.as_str());
        audit::record(tx, &NewAuditEntry { actor: Some(self.user), action, object, request_id, details }).await
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Unmetered {
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
        let address = count_by_address(parts, state).await?;
        refuse_unknown_parameters(parts)?;
        Ok(Self { address })
    }
}

/// Counts the request in the rate limit of its address, and returns the address.
///
/// # Errors
/// 429 when the limit is reached, 503 when it cannot be counted.
async fn count_by_address<S>(parts: &mut Parts, state: &S) -> Result<IpAddr, ApiError>
where
    S: Send + Sync,
    RateLimits: FromRef<S>,
{
    let Ok(ClientAddress(address)) = ClientAddress::from_request_parts(parts, state).await;
    let status = RateLimits::from_ref(state).check_anonymous(&RateLimitKey::Address(address)).await?;
    record_rate_limit(parts, status);
    Ok(address)
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
                count_by_address(parts, state).await?;
                return Err(missing);
            }
        };
        match verified {
            Ok(claims) => {
                // Services act for many users, so they have no limit of their own; the requests that they forward are
                // limited.
                if let Some(user) = claims.sub.filter(|_| !claims.is_service())
                    && let Some(status) = limits.check(&RateLimitKey::User(user)).await?
                {
                    record_rate_limit(parts, status);
                }
                refuse_unknown_parameters(parts)?;
                Ok(Self(claims))
            }
            Err(error @ InvalidToken::KeysUnreachable(_)) => Err(ApiError::unavailable().with_source(error)),
            Err(InvalidToken::Expired { user: Some(user) }) => {
                // The signature is valid, so the call counts as the user's: all open pages of an office may meet the
                // end of their tokens together.
                limits.check(&RateLimitKey::User(user)).await?;
                Err(ApiError::token_expired())
            }
            Err(error) => {
                // An invalid token counts as none: trying many tokens is limited by address.
                count_by_address(parts, state).await?;
                let is_expired = matches!(error, InvalidToken::Expired { .. });
                let refusal = if is_expired { ApiError::token_expired() } else { ApiError::unauthorized() };
                Err(refusal.with_source(error))
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

impl<S> FromRequestParts<S> for SignedInUser
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
                Ok(Self { user, email: claims.email, session: claims.session_id, request_id })
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
        let SignedInUser { user, request_id, .. } = SignedInUser::from_request_parts(parts, state).await?;
        let requested = requested_tenant(parts)?;
        let db = Db::from_ref(state);
        let membership = if Role::MAY_BE_DELETED {
            find_own_membership(&db, user, requested).await?
        } else {
            find_membership(&db, user, requested).await?
        };
        telemetry::record_tenant(membership.tenant);
        if !Role::includes(&membership.role) {
            return Err(ApiError::forbidden("forbidden", "only the owner of the company may do this"));
        }
        Ok(Self { user, request_id, tenant: membership.tenant, owner: membership.owner, role: PhantomData })
    }
}

/// Finds the membership of a user for a request that names `requested`, or no tenant.
///
/// # Errors
/// Returns the refusal of a user who is no member, or whose tenant is suspended or deleted; any error of the database.
pub(super) async fn find_membership(db: &Db, user: Uuid, requested: Option<Uuid>) -> Result<Membership, ApiError> {
    let rows = db.call_app_function("app.memberships", &[Some(user), requested]).await?;
    let memberships = rows.iter().map(Membership::from_row).collect::<Result<Vec<_>, _>>()?;
    match choose_membership(&memberships, requested.is_some()) {
        Err(refusal) if memberships.is_empty() => Err(match db.user_role(user).await?.as_deref() {
            Some(DELETED_ROLE) => ApiError::unauthorized(),
            Some("global_admin") => {
                let message = "this is for members of the company: administrators have routes of their own";
                ApiError::forbidden("forbidden", message)
            }
            _ => refusal,
        }),
        chosen => chosen.cloned(),
    }
}

/// Finds the membership of an owner, whose tenant may be deleted. A user of several tenants who names none means the deleted
/// one.
///
/// # Errors
/// Returns the errors of [`find_membership`] for everybody else.
async fn find_own_membership(db: &Db, user: Uuid, requested: Option<Uuid>) -> Result<Membership, ApiError> {
    let rows = match requested {
        Some(_) => db.call_app_function("app.memberships", &[Some(user), requested]).await?,
        None => db.call_app_function("app.deleted_membership", &[Some(user)]).await?,
    };
    let memberships = rows.iter().map(Membership::from_row).collect::<Result<Vec<_>, _>>()?;
    match memberships.into_iter().find(|membership| membership.deleted && membership.role == "owner") {
        Some(own) => Ok(own),
        None => find_membership(db, user, requested).await,
    }
}

/// Reads the tenant that the request names.
///
/// # Errors
/// Returns 422 for a header that is no UUID.
pub(super) fn requested_tenant(parts: &Parts) -> Result<Option<Uuid>, ApiError> {
    let Some(value) = parts.headers.get(TENANT_HEADER) else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(|text| Uuid::try_parse(text.trim()).ok());
    parsed.map(Some).ok_or_else(|| ApiError::field("X-Customer-Id", "must be a UUID"))
}

/// One row of `app.memberships` or `app.deleted_membership`.
#[derive(Debug, Clone)]
pub(super) struct Membership {
    pub(super) tenant: Uuid,
    pub(super) owner: Uuid,
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

/// Selects the membership for the request. `app.memberships` returns deleted tenants last, so a deleted second tenant
/// does not make the first one ambiguous.
fn choose_membership(memberships: &[Membership], is_named: bool) -> Result<&Membership, ApiError> {
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
