//! The fake Checkout page and the route of `cargo stripe-event`. Neither exists at Stripe.

use axum::{
    Json, Router,
    extract::{Path, State as Extracted},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde_json::json;

use super::{StripeServer, events::StripeChange};

pub(super) fn routes() -> Router<StripeServer> {
    Router::new()
        .route("/pay/{session}", get(show).post(pay))
        .route("/portal/{customer}", get(portal))
        .route("/events", post(change))
}

async fn show(Extracted(shared): Extracted<StripeServer>, Path(session): Path<String>) -> Response {
    let found = shared.state().sessions.get(&session).map(|found| found["_price"].to_string());
    let Some(price) = found else { return (StatusCode::NOT_FOUND, "there is no such session").into_response() };
    Html(format!(
        "<!doctype html><title>Fake Stripe</title><h1>Fake Stripe</h1><p>{}</p>\
         <form method=post><button>Pay</button></form>",
        escape(&price)
    ))
    .into_response()
}

async fn pay(Extracted(shared): Extracted<StripeServer>, Path(session): Path<String>) -> Response {
    match shared.pay(&session).await {
        Ok((paid, _)) => Redirect::to(paid["success_url"].as_str().unwrap_or("/")).into_response(),
        Err(error) => (StatusCode::CONFLICT, format!("{error:#}")).into_response(),
    }
}

async fn portal(Path(customer): Path<String>) -> Html<String> {
    Html(format!(
        "<!doctype html><title>Fake Stripe</title><h1>Fake Stripe</h1><p>The portal of {}. To cancel: \
         <code>cargo stripe-event customer.subscription.deleted --user …</code></p>",
        escape(&customer)
    ))
}

async fn change(Extracted(shared): Extracted<StripeServer>, Json(change): Json<StripeChange>) -> Response {
    match shared.change(&change).await {
        Ok(sent) => Json(sent).into_response(),
        Err(error) => (StatusCode::CONFLICT, Json(json!({ "error": format!("{error:#}") }))).into_response(),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
