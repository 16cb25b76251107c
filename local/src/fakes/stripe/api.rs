//! Stripe's API: form-encoded requests, its objects, its errors, and one answer a key.

use std::collections::BTreeMap;

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State as Extracted},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::any,
};
use chrono::Utc;
use serde_json::{Value, json};

use super::{Asked, Fault, KEY, LIVE_KEY, Shared, State, new_id, seconds};

const LARGEST_BODY: usize = 64 * 1024;

type Fields = BTreeMap<String, String>;

/// What is wrong with a request: status, type, code, parameter, sentence.
struct Refusal(u16, &'static str, &'static str, &'static str, String);

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/v1/{*path}", any(handle))
}

async fn handle(Extracted(shared): Extracted<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let encoded = if parts.method == "GET" { parts.uri.query().unwrap_or_default().as_bytes() } else { &body[..] };
    let fields: Fields = url::form_urlencoded::parse(encoded).into_owned().collect();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let asked = Asked {
        route: format!("{} {}", parts.method, parts.uri.path()),
        fields,
        key: header("idempotency-key"),
        version: header("stripe-version"),
    };
    let (status, value, fault) = take(&shared, &parts.headers, asked);
    if fault == Some(Fault::HoldAnswer)
        && let Ok(permit) = shared.released.acquire().await
    {
        permit.forget();
    }
    answer(status, &value)
}

/// Does what is asked, unless it is to go wrong.
fn take(shared: &Shared, headers: &HeaderMap, asked: Asked) -> (u16, Value, Option<Fault>) {
    let mut state = shared.state();
    state.requests.push(asked.clone());
    let fault = state.faults.pop_front();
    let broken = |status| error(&Refusal(status, "api_error", "", "", "as a test wanted".to_owned()));
    if let Some(Fault::Refuse(status)) = fault {
        return (status, broken(status), fault);
    }
    let (status, value) = match authorized(headers).and_then(|()| once(&mut state, shared, &asked)) {
        Ok(done) => done,
        Err(refusal) => (refusal.0, error(&refusal)),
    };
    if let Err(error) = shared.keep(&state) {
        tracing::error!(error = format!("{error:#}"), "the fake Stripe cannot keep its data");
    }
    match fault {
        Some(Fault::LoseAnswer) => (500, broken(500), fault),
        _ => (status, value, fault),
    }
}

fn answer(status: u16, value: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [("content-type", "application/json")], value.to_string()).into_response()
}

fn error(Refusal(_, kind, code, param, message): &Refusal) -> Value {
    let mut error = json!({ "type": kind, "message": message });
    for (name, value) in [("code", code), ("param", param)] {
        if !value.is_empty() {
            error[name] = json!(value);
        }
    }
    json!({ "error": error })
}

fn authorized(headers: &HeaderMap) -> Result<(), Refusal> {
    let sent = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if sent.is_some_and(|sent| [KEY, LIVE_KEY].contains(&sent)) {
        return Ok(());
    }
    Err(Refusal(401, "invalid_request_error", "", "", "Invalid API Key provided".to_owned()))
}

/// One answer a key: the same again for the same request, an error for another.
fn once(state: &mut State, shared: &Shared, asked: &Asked) -> Result<(u16, Value), Refusal> {
    let Some(key) = asked.key.as_ref().filter(|_| asked.route.starts_with("POST")) else {
        return done(state, shared, asked);
    };
    let print = format!("{} {:?}", asked.route, asked.fields);
    if let Some((known, status, value)) = state.answered.get(key) {
        if *known == print {
            return Ok((*status, value.clone()));
        }
        let message =
            "Keys for idempotent requests can only be used with the same parameters they were first used with.";
        return Err(Refusal(400, "idempotency_error", "", "", message.to_owned()));
    }
    // What was refused before anything was begun is not kept.
    let (status, value) = done(state, shared, asked)?;
    state.answered.insert(key.clone(), (print, status, value.clone()));
    Ok((status, value))
}

fn done(state: &mut State, shared: &Shared, asked: &Asked) -> Result<(u16, Value), Refusal> {
    let fields = &asked.fields;
    let value = match asked.route.as_str() {
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
            let mut all: Vec<_> = state.subscriptions.values().collect();
            all.sort_by_key(|one| (-one["created"].as_i64().unwrap_or_default(), one["id"].to_string()));
            page(&all, fields, "/v1/subscriptions")
        }
        "POST /v1/invoiceitems" => add_item(state, fields)?,
        "GET /v1/invoiceitems" => {
            let customer = required(fields, "customer")?;
            let items: Vec<_> = state.invoice_items.iter().rev().filter(|item| item["customer"] == customer).collect();
            page(&items, fields, "/v1/invoiceitems")
        }
        other => match other.strip_prefix("GET /v1/subscriptions/") {
            Some(id) => state.subscriptions.get(id).cloned().ok_or_else(|| missing("subscription", "id", id))?,
            None => {
                let message = format!("Unrecognized request URL ({other}).");
                return Err(Refusal(404, "invalid_request_error", "", "", message));
            }
        },
    };
    Ok((200, value))
}

fn required<'f>(fields: &'f Fields, name: &'static str) -> Result<&'f str, Refusal> {
    fields.get(name).map(String::as_str).filter(|value| !value.is_empty()).ok_or_else(|| {
        let message = format!("Missing required param: {name}.");
        Refusal(400, "invalid_request_error", "parameter_missing", name, message)
    })
}

fn missing(what: &str, param: &'static str, id: &str) -> Refusal {
    let status = if param == "id" { 404 } else { 400 };
    Refusal(status, "invalid_request_error", "resource_missing", param, format!("No such {what}: '{id}'"))
}

fn known_customer(state: &State, id: &str) -> Result<String, Refusal> {
    match state.customers.get(id) {
        Some(customer) if customer["deleted"] != true => Ok(id.to_owned()),
        _ => Err(missing("customer", "customer", id)),
    }
}

fn check_out(state: &mut State, shared: &Shared, fields: &Fields) -> Result<Value, Refusal> {
    if required(fields, "mode")? != "subscription" {
        let message = "Only subscriptions are sold here.".to_owned();
        return Err(Refusal(400, "invalid_request_error", "", "mode", message));
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
        "success_url": required(fields, "success_url")?, "cancel_url": fields.get("cancel_url"), "livemode": false,
        "url": format!("http://{}/pay/{id}", shared.address), "metadata": {},
        // Not Stripe's: what becomes the subscription.
        "_price": price, "_metadata": metadata,
    });
    state.sessions.insert(id, session.clone());
    Ok(session)
}

fn add_item(state: &mut State, fields: &Fields) -> Result<Value, Refusal> {
    let customer = known_customer(state, required(fields, "customer")?)?;
    let amount: Option<i64> = required(fields, "amount")?.parse().ok();
    let amount = amount.ok_or_else(|| {
        let message = "Invalid integer".to_owned();
        Refusal(400, "invalid_request_error", "parameter_invalid_integer", "amount", message)
    })?;
    let item = json!({
        "id": new_id("ii"), "object": "invoiceitem", "customer": customer, "amount": amount,
        "currency": required(fields, "currency")?, "description": fields.get("description"), "invoice": null,
        "metadata": { "billing_record_id": fields.get("metadata[billing_record_id]") }, "livemode": false,
    });
    state.invoice_items.push(item.clone());
    Ok(item)
}

fn page(all: &[&Value], fields: &Fields, url: &str) -> Value {
    let limit = fields.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(10).clamp(1, 100);
    let begin = fields.get("starting_after").and_then(|after| all.iter().position(|one| one["id"] == after.as_str()));
    let rest = &all[begin.map_or(0, |place| place + 1)..];
    json!({ "object": "list", "url": url, "has_more": rest.len() > limit, "data": &rest[..rest.len().min(limit)] })
}
