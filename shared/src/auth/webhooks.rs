//! Who calls a webhook: no person with a token, but a system that knows a secret.

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{StatusCode, request::Parts},
};
use sha2::{Digest, Sha256};
use sqlx::Row;
use uuid::Uuid;

use super::caller::Public;
use crate::{
    db::{Db, identify},
    error::ApiError,
    http::note,
    rate_limits::{RateLimits, Who},
    text::Language,
};

/// The header in which a tenant's ManyChat bot sends its secret.
const SECRET_HEADER: &str = "x-webhook-secret";

/// A tenant's ManyChat bot, known by its webhook secret. Of two secrets that are live while one is rotated out, either
/// will do.
#[derive(Debug, Clone)]
pub struct ManyChatCall {
    tenant: Uuid,
    language: Language,
}

impl ManyChatCall {
    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> Uuid {
        self.tenant
    }

    /// The tenant's language.
    #[must_use]
    pub fn language(&self) -> Language {
        self.language
    }
}

impl<S> FromRequestParts<S> for ManyChatCall
where
    S: Send + Sync,
    RateLimits: FromRef<S>,
    Db: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let secret = parts.headers.get(SECRET_HEADER).map(|value| hex::encode(Sha256::digest(value.as_bytes())));
        let found = match secret {
            // Hexadecimal digits only.
            Some(sha256) => identify(Db::from_ref(state).pool(), &format!("app.webhook_tenant('{sha256}')")).await?,
            None => Vec::new(),
        };
        let Some(row) = found.first() else {
            // Whoever tries secrets is counted by address.
            Public::from_request_parts(parts, state).await?;
            let message = "the header X-Webhook-Secret does not hold a webhook secret that is in use";
            return Err(ApiError::new(StatusCode::UNAUTHORIZED, "invalid_webhook_secret", message));
        };
        let tenant: Uuid = row.try_get("customer_id")?;
        tracing::Span::current().record("tenant_id", tracing::field::display(tenant));
        let source = format!("manychat:{tenant}");
        if let Some(standing) = RateLimits::from_ref(state).check(&Who::Webhook(&source)).await? {
            note(parts, standing);
        }
        if row.try_get("deleted")? {
            return Err(ApiError::forbidden("tenant_deleted", "this company is deleted"));
        }
        if row.try_get("suspended")? {
            return Err(ApiError::forbidden("tenant_suspended", "this company is suspended"));
        }
        Ok(Self { tenant, language: Language::from_code(row.try_get("language")?) })
    }
}
