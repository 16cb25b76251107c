//! `POST /api/v1/webhooks/stripe`: Stripe's events about subscriptions, checkouts, invoices and customers.

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
    stripe::{StripeEvent, WebhookSecrets},
};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

/// The `stripe-webhook` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Dependencies of the handler.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    secrets: WebhookSecrets,
    limits: RateLimits,
    billing: Billing,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "stripe-webhook";
    /// 2 MiB: the event of an invoice with many lines is larger than other requests' bodies.
    const BODY_LIMIT: usize = 2 * 1024 * 1024;

    fn read(settings: &mut Settings) -> Self {
        let billing = Billing::read(settings);
        Self {
            secrets: WebhookSecrets::read(settings),
            limits: RateLimits::read_on_system(settings, billing.app()),
            billing,
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(receive))
    }
}

/// An event, as Stripe sends it.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "evt_1TExample", "created": 1795426206, "type": "invoice.created",
    "data": { "object": { "id": "in_1TExample", "object": "invoice" } },
}))]
#[expect(dead_code, reason = "describes the body in openapi.json")]
struct StripeEventBody {
    id: String,
    /// Type of the event, such as `invoice.paid`. A type that is not handled is answered with 200 too.
    r#type: String,
    /// Time of the event, in seconds of Unix time.
    created: i64,
    /// Data of the event; `object` holds the object that the event concerns.
    data: serde_json::Map<String, serde_json::Value>,
}

/// Result of an event, shown with the delivery in Stripe's dashboard.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "event_id": "evt_1TExample", "outcome": "unknown" }))]
struct EventReceived {
    event_id: String,
    outcome: EventOutcome,
}

/// Outcome of an event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum EventOutcome {
    /// The event was applied.
    Done,
    /// The event was applied at an earlier delivery.
    Repeated,
    /// The event is of a known type that changes nothing.
    Noted,
    /// The event's type is not handled.
    Unknown,
    /// The event's object cannot be parsed. The event is kept and retried every night, and a metric counts it.
    Unreadable,
}

impl From<billing::BillingEventOutcome> for EventOutcome {
    fn from(outcome: billing::BillingEventOutcome) -> Self {
        match outcome {
            billing::BillingEventOutcome::Done => Self::Done,
            billing::BillingEventOutcome::Repeated => Self::Repeated,
            billing::BillingEventOutcome::Noted => Self::Noted,
            billing::BillingEventOutcome::Unknown => Self::Unknown,
            billing::BillingEventOutcome::Unreadable => Self::Unreadable,
        }
    }
}

/// Receives an event that Stripe signed. A repeated delivery changes nothing. A failure is answered with a 5xx
/// status, and Stripe's next delivery resumes at the step that failed.
#[utoipa::path(
    post, path = "/api/v1/webhooks/stripe", tag = "billing", request_body = StripeEventBody,
    params(("Stripe-Signature" = Option<String>, Header, description = "`t=…,v1=…`, over the raw body")),
    responses((status = 200, body = Envelope<EventReceived>)),
)]
async fn receive(StripeEvent { event, deps, .. }: StripeEvent<Deps>) -> Result<Data<EventReceived>> {
    let outcome = deps.billing.receive(&event, shared::clock::now()).await?;
    tracing::info!(event_id = event.id, kind = event.kind, ?outcome, "event taken");
    Ok(Data(EventReceived { event_id: event.id, outcome: outcome.into() }))
}
