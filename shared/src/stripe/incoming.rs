//! The gate of Stripe's webhook: a handler that names [`StripeEvent`] first runs for what Stripe signed, and for nothing
//! else.

use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use chrono::Utc;

use super::{
    event::{Event, Unreadable},
    signature,
};
use crate::{
    auth::Public,
    error::ApiError,
    http::{self, Bytes, RequestId},
    rate_limits::{RateLimits, Who},
    settings::Settings,
};

const HEADER: &str = "stripe-signature";

/// What Stripe signs with; several while one is rotated out.
#[derive(Clone)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Reads STRIPE_WEBHOOK_SECRET, a comma-separated list.
    pub fn read(settings: &mut Settings) -> Self {
        settings.required("STRIPE_WEBHOOK_SECRET");
        let secrets = settings.list("STRIPE_WEBHOOK_SECRET");
        if secrets.iter().any(|secret| secret.len() < 16) {
            settings.problem("STRIPE_WEBHOOK_SECRET holds something that is too short to be a secret");
        }
        Self(secrets)
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Secrets({})", self.0.len())
    }
}

/// An event that Stripe signed. It takes the whole request, body and all, so it brings along what the handler needs.
#[derive(Debug, Clone)]
pub struct StripeEvent<Deps> {
    /// What was sent.
    pub event: Event,
    /// The function's.
    pub deps: Deps,
    /// The request, for the audit log.
    pub request_id: String,
}

impl<Deps> FromRequest<Deps> for StripeEvent<Deps>
where
    Deps: Clone + Send + Sync,
    Secrets: FromRef<Deps>,
    RateLimits: FromRef<Deps>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, deps: &Deps) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let Ok(RequestId(request_id)) = RequestId::from_request_parts(&mut parts, deps).await;
        let header = parts.headers.get(HEADER).map(|value| value.to_str().unwrap_or_default().to_owned());
        // What is left of it when the body is read.
        let mut head = Request::new(()).into_parts().0;
        head.extensions = parts.extensions.clone();
        let Bytes(body) = Bytes::from_request(Request::from_parts(parts, body), deps).await?;

        let Secrets(secrets) = Secrets::from_ref(deps);
        if let Err(refusal) = signature::verify(header.as_deref(), &body, &secrets, Utc::now()) {
            // Whoever tries many is counted by address.
            Public::from_request_parts(&mut head, deps).await?;
            let message = "the header Stripe-Signature does not sign this body";
            return Err(ApiError::bad_request("invalid_signature", message).because(refusal));
        }
        let event = Event::read(&body).map_err(|error| match error {
            Unreadable::NotJson(_) => ApiError::bad_request("malformed_json", "the body is not JSON").because(error),
            Unreadable::NotAnEvent(_) => {
                ApiError::bad_request("not_an_event", "the body is not an event").because(error)
            }
            Unreadable::Thin => {
                let message = "thin events are not taken here: send snapshot events to this endpoint";
                ApiError::bad_request("thin_event", message)
            }
        })?;
        let source = format!("stripe:{}", event.account.as_deref().unwrap_or("own"));
        if let Some(standing) = RateLimits::from_ref(deps).check(&Who::Webhook(&source)).await? {
            http::note(&head, standing);
        }
        Ok(Self { event, deps: deps.clone(), request_id })
    }
}
