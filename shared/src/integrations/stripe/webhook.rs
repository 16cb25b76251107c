//! The extractor of Stripe's webhook. A handler whose first argument is [`StripeEvent`] runs only for requests that
//! Stripe signed.

use axum::{
    extract::{FromRef, FromRequest, FromRequestParts, Request},
    http::request::Parts,
};

use super::{
    event::{Event, EventParseError},
    signature::{SignatureError, SignatureHeader},
};
use crate::{
    auth::{
        Public,
        access_policy::{AccessPolicy, RouteAccess},
    },
    error::ApiError,
    http::{self, Bytes, ClientAddress, RequestId},
    rate_limits::{RateLimitKey, RateLimits},
    settings::{SettingKind, Settings},
};

const SIGNATURE_HEADER: &str = "stripe-signature";

/// Secrets that Stripe signs webhooks with; more than one during a rotation.
#[derive(Clone)]
pub struct WebhookSecrets(Vec<String>);

impl WebhookSecrets {
    /// Reads STRIPE_WEBHOOK_SECRET, a comma-separated list.
    pub fn read(settings: &mut Settings) -> Self {
        settings.required_of(SettingKind::SecretList, "STRIPE_WEBHOOK_SECRET");
        let secrets = settings.secrets("STRIPE_WEBHOOK_SECRET");
        if secrets.iter().any(|secret| secret.len() < 16) {
            settings.problem("STRIPE_WEBHOOK_SECRET holds something that is too short to be a secret");
        }
        Self(secrets)
    }
}

impl std::fmt::Debug for WebhookSecrets {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "WebhookSecrets({})", self.0.len())
    }
}

/// An event that Stripe signed.
///
/// The extractor consumes the whole request, with its body, so it also carries the handler's other inputs.
#[derive(Debug, Clone)]
pub struct StripeEvent<Deps> {
    /// The event.
    pub event: Event,
    /// The function's dependencies.
    pub deps: Deps,
    /// Id of the request, for the audit log.
    pub request_id: String,
}

impl<Deps> AccessPolicy for StripeEvent<Deps> {
    const ACCESS: RouteAccess = RouteAccess::Webhook("stripeSignature");
}

impl<Deps> FromRequest<Deps> for StripeEvent<Deps>
where
    Deps: Clone + Send + Sync,
    WebhookSecrets: FromRef<Deps>,
    RateLimits: FromRef<Deps>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, deps: &Deps) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let Ok(RequestId(request_id)) = RequestId::from_request_parts(&mut parts, deps).await;
        let header = parts.headers.get(SIGNATURE_HEADER).map(|value| value.to_str().unwrap_or_default().to_owned());
        // Reading the body consumes the request. The rate limits need its extensions.
        let mut head = Request::new(()).into_parts().0;
        head.extensions = parts.extensions.clone();
        // In the order of their cost: the header, the count of the address, and only then the body and its hash.
        let header = match SignatureHeader::read(header.as_deref(), crate::clock::now()) {
            Ok(header) => header,
            Err(error) => return Err(refuse(&mut head, deps, error).await),
        };
        let Ok(ClientAddress(address)) = ClientAddress::from_request_parts(&mut head, deps).await;
        RateLimits::from_ref(deps).check(&RateLimitKey::WebhookAddress(address)).await?;
        let Bytes(body) = Bytes::from_request(Request::from_parts(parts, body), deps).await?;
        let WebhookSecrets(secrets) = WebhookSecrets::from_ref(deps);
        if let Err(error) = header.verify(&body, &secrets) {
            return Err(refuse(&mut head, deps, error).await);
        }
        let event = Event::read(&body).map_err(|error| match error {
            EventParseError::NotJson(_) => {
                ApiError::bad_request("malformed_json", "the body is not JSON").with_source(error)
            }
            EventParseError::NotAnEvent(_) => {
                ApiError::bad_request("not_an_event", "the body is not an event").with_source(error)
            }
            EventParseError::Thin => {
                let message = "thin events are not taken here: send snapshot events to this endpoint";
                ApiError::bad_request("thin_event", message)
            }
        })?;
        let source = format!("stripe:{}", event.account.as_deref().unwrap_or("own"));
        if let Some(standing) = RateLimits::from_ref(deps).check(&RateLimitKey::Webhook(&source)).await? {
            http::record_rate_limit(&head, standing);
        }
        Ok(Self { event, deps: deps.clone(), request_id })
    }
}

/// Returns the error of a request without a valid signature. Such requests are counted by the sender's address, and a
/// sender with too many gets 429 instead.
async fn refuse<Deps>(head: &mut Parts, deps: &Deps, error: SignatureError) -> ApiError
where
    Deps: Send + Sync,
    RateLimits: FromRef<Deps>,
{
    if let Err(limited) = Public::from_request_parts(head, deps).await {
        return limited;
    }
    let message = "the header Stripe-Signature does not sign this body";
    ApiError::bad_request("invalid_signature", message).with_source(error)
}
