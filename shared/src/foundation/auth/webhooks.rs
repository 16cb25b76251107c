//! Callers of webhooks: systems that authenticate with a secret instead of a person's token.

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{StatusCode, request::Parts},
};
use sha2::{Digest, Sha256};
use sqlx::Row;
use uuid::Uuid;

use super::caller::Public;
use crate::{
    db::{Db, call_app_function},
    error::ApiError,
    http::record_rate_limit,
    rate_limits::{RateLimitKey, RateLimits},
    telemetry,
    text::Language,
};

/// Header in which a tenant's ManyChat bot sends its webhook secret.
const SECRET_HEADER: &str = "x-webhook-secret";

/// A tenant's ManyChat bot, authenticated by the tenant's webhook secret. During a rotation, the old and the new
/// secret are both valid.
#[derive(Debug, Clone)]
pub struct ManyChatCall {
    tenant: Uuid,
    language: Language,
}

impl ManyChatCall {
    /// Returns the tenant, `customers.id`.
    #[must_use]
    pub fn tenant(&self) -> Uuid {
        self.tenant
    }

    /// Returns the tenant's language.
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
        let rows = match secret {
            // The hash consists of hexadecimal digits, so it is safe to format into SQL.
            Some(sha256) => {
                call_app_function(Db::from_ref(state).pool(), &format!("app.webhook_tenant('{sha256}')")).await?
            }
            None => Vec::new(),
        };
        let Some(row) = rows.first() else {
            // Requests with a wrong secret are rate-limited by address.
            Public::from_request_parts(parts, state).await?;
            let message = "the header X-Webhook-Secret does not hold a webhook secret that is in use";
            return Err(ApiError::new(StatusCode::UNAUTHORIZED, "invalid_webhook_secret", message));
        };
        let tenant: Uuid = row.try_get("customer_id")?;
        telemetry::record_tenant(tenant);
        let source = format!("manychat:{tenant}");
        if let Some(status) = RateLimits::from_ref(state).check(&RateLimitKey::Webhook(&source)).await? {
            record_rate_limit(parts, status);
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
