//! Callers of a route that members use for themselves, and services for a member.

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{
    access_policy::{AccessPolicy, RouteAccess},
    caller::{Identity, find_membership, requested_tenant},
    tokens::VerificationKeys,
};
use crate::{
    db::{DELETED_ROLE, Db},
    error::ApiError,
    http::{Query, RequestId},
    rate_limits::RateLimits,
    telemetry,
};

/// The query parameter by which a service names the user that it asks for.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OnBehalfOf {
    /// `users.id` of the user. Required for a service token; with any other token it can only be the caller's own id.
    pub user_id: Option<Uuid>,
}

impl OnBehalfOf {
    /// Returns the user whom the request is about.
    ///
    /// # Errors
    /// Returns 422 for a service that names nobody, and 404 for a person who names another user.
    pub fn resolve(self, caller: &Identity) -> Result<Uuid, ApiError> {
        let Identity(claims) = caller;
        match (claims.is_service(), claims.sub, self.user_id) {
            (true, _, Some(user)) => Ok(user),
            (true, _, None) => Err(ApiError::field("user_id", "is required for a service token")),
            (false, Some(own), None) => Ok(own),
            (false, Some(own), Some(user)) if user == own => Ok(own),
            // Another user's id is answered as an unknown one.
            (false, Some(_), Some(_)) => Err(ApiError::not_found("user")),
            (false, None, _) => Err(ApiError::forbidden("forbidden", "the token names no user")),
        }
    }
}

/// A member of a tenant that is neither suspended nor deleted, or a service that asks for such a member by the query
/// parameter `user_id`. The header `X-Customer-Id` names one of several tenants, for both.
#[derive(Debug, Clone)]
pub struct MemberOrService {
    /// `users.id` of the member whom the request is about.
    pub user: Uuid,
    /// True when a service asks for the member.
    pub is_service: bool,
    /// Request ID, for the audit log.
    pub request_id: String,
    tenant: Uuid,
    owner: Uuid,
}

impl MemberOrService {
    /// Returns the tenant, `customers.id`.
    #[must_use]
    pub fn tenant(&self) -> Uuid {
        self.tenant
    }

    /// Returns the tenant's owner, whose quota is charged.
    #[must_use]
    pub fn owner(&self) -> Uuid {
        self.owner
    }

    /// Returns true when a read of the tenant's texts belongs into the audit log: unless the owner reads them.
    #[must_use]
    pub fn is_audited(&self) -> bool {
        self.is_service || self.user != self.owner
    }

    /// Returns the actor of the audit log: the member, or nobody for a service.
    #[must_use]
    pub fn actor(&self) -> Option<Uuid> {
        (!self.is_service).then_some(self.user)
    }
}

impl AccessPolicy for MemberOrService {
    const ACCESS: RouteAccess = RouteAccess::Token(None);
}

impl<S> FromRequestParts<S> for MemberOrService
where
    S: Send + Sync,
    VerificationKeys: FromRef<S>,
    RateLimits: FromRef<S>,
    Db: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = Identity::from_request_parts(parts, state).await?;
        let Ok(RequestId(request_id)) = RequestId::from_request_parts(parts, state).await;
        let Query(on_behalf_of) = Query::<OnBehalfOf>::from_request_parts(parts, state).await?;
        let user = on_behalf_of.resolve(&caller)?;
        let is_service = caller.0.is_service();
        let db = Db::from_ref(state);
        let membership = match find_membership(&db, user, requested_tenant(parts)?).await {
            // A service learns that the user does not exist. A person's own account is refused as everywhere.
            Err(refusal) if is_service && refusal.status.is_client_error() => {
                return Err(match db.user_role(user).await?.as_deref() {
                    None | Some(DELETED_ROLE) => ApiError::not_found("user"),
                    Some(_) => refusal,
                });
            }
            membership => membership?,
        };
        telemetry::record_tenant(membership.tenant);
        let (tenant, owner) = (membership.tenant, membership.owner);
        Ok(Self { user, is_service, request_id, tenant, owner })
    }
}
