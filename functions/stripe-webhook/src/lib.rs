//! `POST /api/v1/webhooks/stripe`: what Stripe tells of subscriptions, checkouts and invoices.

use axum::extract::FromRef;
use serde::Serialize;
use shared::{
    billing::{self, Billing},
    error::Result,
    function::{Function, HttpFunction},
    http::{Data, Envelope},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
    stripe::{Secrets, StripeEvent},
};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

/// The function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// What it needs.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    secrets: Secrets,
    limits: RateLimits,
    billing: Billing,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "stripe-webhook";
    /// An invoice of many lines is larger than what people send.
    const BODY_LIMIT: usize = 2 * 1024 * 1024;

    fn read(settings: &mut Settings) -> Self {
        let billing = Billing::read(settings);
        Self { secrets: Secrets::read(settings), limits: RateLimits::read_on_system(settings, billing.app()), billing }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(receive))
    }
}

/// An event, as Stripe sends it.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "evt_1TExample", "object": "event", "api_version": "2026-09-30.endive", "created": 1795426206,
    "livemode": false, "type": "invoice.created", "data": { "object": { "id": "in_1TExample", "object": "invoice" } },
}))]
#[allow(dead_code, reason = "describes the body in openapi.json")]
struct StripeEventBody {
    id: String,
    /// Types that are not handled are answered 200 too.
    r#type: String,
    /// Unix time.
    created: i64,
    /// `object` is what it is about.
    data: serde_json::Map<String, serde_json::Value>,
}

/// What became of it; for whoever looks at deliveries in Stripe's dashboard.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "event_id": "evt_1TExample", "outcome": "unknown" }))]
struct EventReceived {
    event_id: String,
    outcome: EventOutcome,
}

/// How far an event came.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum EventOutcome {
    /// It was applied.
    Done,
    /// It was applied before.
    Repeated,
    /// It changes nothing.
    Noted,
    /// Its type is not handled.
    Unknown,
    /// It is not of its type's shape; it is kept, and somebody is told.
    Unreadable,
}

impl From<billing::Outcome> for EventOutcome {
    fn from(outcome: billing::Outcome) -> Self {
        match outcome {
            billing::Outcome::Done => Self::Done,
            billing::Outcome::Repeated => Self::Repeated,
            billing::Outcome::Noted => Self::Noted,
            billing::Outcome::Unknown => Self::Unknown,
            billing::Outcome::Unreadable => Self::Unreadable,
        }
    }
}

/// Takes an event that Stripe signed. A repetition changes nothing; what could not be done is answered with a 5xx, and is
/// taken up where it stopped when Stripe sends it again.
#[utoipa::path(
    post, path = "/api/v1/webhooks/stripe", tag = "billing", request_body = StripeEventBody,
    params(("Stripe-Signature" = Option<String>, Header, description = "`t=…,v1=…`, over the raw body")),
    responses((status = 200, body = Envelope<EventReceived>)),
)]
async fn receive(StripeEvent { event, deps, .. }: StripeEvent<Deps>) -> Result<Data<EventReceived>> {
    let outcome = deps.billing.receive(&event, chrono::Utc::now()).await?;
    tracing::info!(event_id = event.id, kind = event.kind, ?outcome, "event taken");
    Ok(Data(EventReceived { event_id: event.id, outcome: outcome.into() }))
}
