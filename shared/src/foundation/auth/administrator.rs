//! Callers who look after all tenants.

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use uuid::Uuid;

use super::{
    access_policy::{AccessPolicy, RouteAccess},
    caller::SignedInUser,
    tokens::VerificationKeys,
};
use crate::{db::SystemDb, error::ApiError, rate_limits::RateLimits};

/// A global administrator: a person with the role `global_admin` in `users` whose account was not deleted, whatever the
/// token says. For functions that log in as the system role.
#[derive(Debug, Clone)]
pub struct Administrator {
    /// `users.id`, the token's `sub`.
    pub user: Uuid,
    /// Request ID, for the audit log.
    pub request_id: String,
}

impl AccessPolicy for Administrator {
    const ACCESS: RouteAccess = RouteAccess::Token(Some("global_admin"));
}

impl<S> FromRequestParts<S> for Administrator
where
    S: Send + Sync,
    VerificationKeys: FromRef<S>,
    RateLimits: FromRef<S>,
    SystemDb: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let SignedInUser { user, request_id, .. } = SignedInUser::from_request_parts(parts, state).await?;
        let is_administrator = SystemDb::from_ref(state)
            .system_tx(async |tx| {
                let is_administrator = sqlx::query_scalar!(
                    r#"
                    select exists (
                        select from users where id = $1 and role = 'global_admin' and deleted_at is null
                    ) as "exists!"
                    "#,
                    user
                );
                Ok(is_administrator.fetch_one(tx).await?)
            })
            .await?;
        if !is_administrator {
            return Err(ApiError::forbidden("forbidden", "this is for administrators"));
        }
        Ok(Self { user, request_id })
    }
}
