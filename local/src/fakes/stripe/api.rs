//! Stripe's HTTP API: form-encoded requests, Stripe's objects and errors, and idempotency keys.

use std::collections::BTreeMap;

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State as Extracted},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::any,
};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    EXPIRED_KEY, KEY, LIVE_KEY, StripeData, StripeFault, StripeRequest, StripeServer, events::end, invoices, new_id,
    seconds,
};

const MAX_BODY_BYTES: usize = 64 * 1024;
/// Time after which a Checkout Session expires.
const SESSION_LIFETIME: TimeDelta = TimeDelta::hours(24);

pub(super) type Fields = BTreeMap<String, String>;

/// A Stripe error: status, type, code, parameter, message.
pub(super) struct StripeErrorResponse(
    pub(super) u16,
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) String,
);

pub(super) fn routes() -> Router<StripeServer> {
    Router::new().route("/v1/{*path}", any(handle))
}

async fn handle(Extracted(shared): Extracted<StripeServer>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let encoded = if parts.method == "GET" { parts.uri.query().unwrap_or_default().as_bytes() } else { &body[..] };
    let fields: Fields = url::form_urlencoded::parse(encoded).into_owned().collect();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let request = StripeRequest {
        route: format!("{} {}", parts.method, parts.uri.path()),
        fields,
        key: header("idempotency-key"),
        version: header("stripe-version"),
    };
    let (status, value, fault) = handle_with_fault(&shared, &parts.headers, request);
    if fault == Some(StripeFault::HoldAnswer)
        && let Ok(permit) = shared.released.acquire().await
    {
        permit.forget();
    }
    answer(status, &value)
}

/// Handles a request, applying the next fault.
fn handle_with_fault(
    shared: &StripeServer,
    headers: &HeaderMap,
    request: StripeRequest,
) -> (u16, Value, Option<StripeFault>) {
    let mut state = shared.state();
    state.requests.push(request.clone());
    let fault = state.take_fault(&request.route);
    let broken = |status| error(&StripeErrorResponse(status, "api_error", "", "", "as a test wanted".to_owned()));
    if let Some(StripeFault::Refuse(status)) = fault {
        return (status, broken(status), fault);
    }
    let (status, value) = match authorized(headers).and_then(|()| handle_idempotently(&mut state, shared, &request)) {
        Ok(answer) => answer,
        Err(refusal) => (refusal.0, error(&refusal)),
    };
    if let Err(error) = shared.keep(&state) {
        tracing::error!(error = format!("{error:#}"), "the fake Stripe cannot keep its data");
    }
    match fault {
        Some(StripeFault::LoseAnswer) => (500, broken(500), fault),
        _ => (status, value, fault),
    }
}

fn answer(status: u16, value: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [("content-type", "application/json")], value.to_string()).into_response()
}

fn error(StripeErrorResponse(_, kind, code, param, message): &StripeErrorResponse) -> Value {
    let mut error = json!({ "type": kind, "message": message });
    for (name, value) in [("code", code), ("param", param)] {
        if !value.is_empty() {
            error[name] = json!(value);
        }
    }
    json!({ "error": error })
}

fn authorized(headers: &HeaderMap) -> Result<(), StripeErrorResponse> {
    let sent = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if sent.is_some_and(|sent| [KEY, LIVE_KEY].contains(&sent)) {
        return Ok(());
    }
    if sent == Some(EXPIRED_KEY) {
        let message = "Expired API Key provided".to_owned();
        return Err(StripeErrorResponse(401, "invalid_request_error", "api_key_expired", "", message));
    }
    Err(StripeErrorResponse(401, "invalid_request_error", "", "", "Invalid API Key provided".to_owned()))
}

/// Handles a request with its idempotency key: repeats the stored answer for the same request, and rejects a
/// different request.
fn handle_idempotently(
    state: &mut StripeData,
    shared: &StripeServer,
    request: &StripeRequest,
) -> Result<(u16, Value), StripeErrorResponse> {
    let Some(key) = request.key.as_ref().filter(|_| request.route.starts_with("POST")) else {
        return execute(state, shared, request);
    };
    let fingerprint = format!("{} {:?}", request.route, request.fields);
    if let Some((known, status, value)) = state.answered.get(key) {
        if *known == fingerprint {
            return Ok((*status, value.clone()));
        }
        let message =
            "Keys for idempotent requests can only be used with the same parameters they were first used with.";
        return Err(StripeErrorResponse(400, "idempotency_error", "", "", message.to_owned()));
    }
    // Rejected requests have no effect, so their answers are not stored.
    let (status, value) = execute(state, shared, request)?;
    state.answered.insert(key.clone(), (fingerprint, status, value.clone()));
    Ok((status, value))
}

fn execute(
    state: &mut StripeData,
    shared: &StripeServer,
    request: &StripeRequest,
) -> Result<(u16, Value), StripeErrorResponse> {
    let fields = &request.fields;
    let value = match request.route.as_str() {
        "POST /v1/checkout/sessions" => check_out(state, shared, fields)?,
        "POST /v1/billing_portal/sessions" => {
            let customer = known_customer(state, required(fields, "customer")?)?;
            let id = new_id("bps");
            let url = format!("http://{}/portal/{customer}", shared.address);
            json!({
                "id": id, "object": "billing_portal.session", "customer": customer, "url": url,
                "return_url": required(fields, "return_url")?, "created": seconds(Utc::now()), "livemode": false,
            })
        }
        "GET /v1/subscriptions" => {
            let customer = fields.get("customer");
            // Without a status, Stripe lists those that have not been canceled.
            let with_ended = fields.get("status").is_some_and(|status| status == "all");
            let is_listed = |one: &&Value| {
                customer.is_none_or(|customer| one["customer"] == customer.as_str())
                    && (with_ended || one["status"] != "canceled")
            };
            let mut all: Vec<_> = state.subscriptions.values().filter(is_listed).collect();
            all.sort_by_key(|one| (-one["created"].as_i64().unwrap_or_default(), one["id"].to_string()));
            page(&all, fields, "/v1/subscriptions")
        }
        "GET /v1/webhook_endpoints" => {
            page(&state.webhook_endpoints().iter().collect::<Vec<_>>(), fields, "/v1/webhook_endpoints")
        }
        route if route.split('/').nth(2).is_some_and(|part| ["invoiceitems", "invoices"].contains(&part)) => {
            invoices::execute(state, route, fields)?
        }
        other => execute_on_object(state, other, fields)?,
    };
    Ok((200, value))
}

/// Handles a request whose path names one object.
fn execute_on_object(state: &mut StripeData, route: &str, fields: &Fields) -> Result<Value, StripeErrorResponse> {
    let segments: Vec<_> = route.split(['/', ' ']).filter(|segment| !segment.is_empty()).collect();
    let found = match segments[..] {
        ["GET", "v1", "subscriptions", id] => state.subscriptions.get(id).cloned(),
        ["POST", "v1", "subscriptions", id] => {
            let Some(subscription) = state.subscriptions.get_mut(id) else {
                return Err(missing("subscription", "id", id));
            };
            change_subscription(subscription, fields)?;
            Some(subscription.clone())
        }
        ["DELETE", "v1", "subscriptions", id] => {
            let running = state.subscriptions.get_mut(id).filter(|one| one["status"] != "canceled");
            running.map(|subscription| {
                end(subscription);
                subscription.clone()
            })
        }
        ["GET", "v1", "checkout", "sessions", id] => state.sessions.get(id).cloned(),
        ["POST", "v1", "checkout", "sessions", id, "expire"] => {
            let Some(session) = state.sessions.get_mut(id) else { return Err(missing("checkout.session", "id", id)) };
            if session["status"] != "open" {
                let message = "Only Checkout Sessions with a status in [\"open\"] can be expired.".to_owned();
                return Err(StripeErrorResponse(400, "invalid_request_error", "", "", message));
            }
            session["status"] = json!("expired");
            Some(session.clone())
        }
        ["GET", "v1", "charges", id] => state.charges.get(id).cloned(),
        _ => {
            return Err(unrecognized(route));
        }
    };
    found.ok_or_else(|| missing("object", "id", segments.get(3).copied().unwrap_or_default()))
}

/// Changes a subscription: the pause of its collection, the only change that Lisa makes.
fn change_subscription(subscription: &mut Value, fields: &Fields) -> Result<(), StripeErrorResponse> {
    if subscription["status"] == "canceled" {
        let message = "A canceled subscription can only update its cancellation_details and metadata.".to_owned();
        return Err(StripeErrorResponse(400, "invalid_request_error", "", "", message));
    }
    for (name, value) in fields {
        match (name.as_str(), value.as_str()) {
            ("pause_collection", "") => subscription["pause_collection"] = Value::Null,
            ("pause_collection[behavior]", "void" | "keep_as_draft" | "mark_uncollectible") => {
                subscription["pause_collection"] = json!({ "behavior": value, "resumes_at": null });
            }
            _ => {
                let message = format!("Received unknown parameter: {name}");
                return Err(StripeErrorResponse(400, "invalid_request_error", "parameter_unknown", "", message));
            }
        }
    }
    Ok(())
}

pub(super) fn unrecognized(route: &str) -> StripeErrorResponse {
    StripeErrorResponse(404, "invalid_request_error", "", "", format!("Unrecognized request URL ({route})."))
}

pub(super) fn required<'f>(fields: &'f Fields, name: &'static str) -> Result<&'f str, StripeErrorResponse> {
    fields.get(name).map(String::as_str).filter(|value| !value.is_empty()).ok_or_else(|| {
        let message = format!("Missing required param: {name}.");
        StripeErrorResponse(400, "invalid_request_error", "parameter_missing", name, message)
    })
}

pub(super) fn missing(what: &str, param: &'static str, id: &str) -> StripeErrorResponse {
    let status = if param == "id" { 404 } else { 400 };
    StripeErrorResponse(status, "invalid_request_error", "resource_missing", param, format!("No such {what}: '{id}'"))
}

pub(super) fn known_customer(state: &StripeData, id: &str) -> Result<String, StripeErrorResponse> {
    match state.customers.get(id) {
        Some(customer) if customer["deleted"] != true => Ok(id.to_owned()),
        _ => Err(missing("customer", "customer", id)),
    }
}

fn check_out(state: &mut StripeData, shared: &StripeServer, fields: &Fields) -> Result<Value, StripeErrorResponse> {
    if required(fields, "mode")? != "subscription" {
        let message = "Only subscriptions are sold here.".to_owned();
        return Err(StripeErrorResponse(400, "invalid_request_error", "", "mode", message));
    }
    let price = required(fields, "line_items[0][price]")?;
    if !price.starts_with("price_") {
        return Err(missing("price", "line_items[0][price]", price));
    }
    let customer = fields.get("customer").map(|id| known_customer(state, id)).transpose()?;
    let id = new_id("cs_test");
    let metadata: BTreeMap<_, _> = fields
        .iter()
        .filter_map(|(name, value)| {
            let name = name.strip_prefix("subscription_data[metadata][")?.strip_suffix(']')?;
            Some((name, value))
        })
        .collect();
    let session = json!({
        "id": id, "object": "checkout.session", "mode": "subscription", "status": "open", "payment_status": "unpaid",
        "client_reference_id": fields.get("client_reference_id"), "customer": customer,
        "customer_email": fields.get("customer_email"), "subscription": null, "created": seconds(Utc::now()),
        "expires_at": seconds(Utc::now() + SESSION_LIFETIME), "success_url": required(fields, "success_url")?, "cancel_url": fields.get("cancel_url"), "livemode": false,
        "url": format!("http://{}/pay/{id}", shared.address), "metadata": {},
        // Not part of Stripe's object: the data of the later subscription.
        "_price": price, "_metadata": metadata,
    });
    state.sessions.insert(id, session.clone());
    Ok(session)
}

pub(super) fn page(all: &[&Value], fields: &Fields, url: &str) -> Value {
    let limit = fields.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(10).clamp(1, 100);
    let begin = fields.get("starting_after").and_then(|after| all.iter().position(|one| one["id"] == after.as_str()));
    let rest = &all[begin.map_or(0, |place| place + 1)..];
    json!({ "object": "list", "url": url, "has_more": rest.len() > limit, "data": &rest[..rest.len().min(limit)] })
}
