//! The list of all functions. The local stack runs only the functions in it.

use std::collections::BTreeSet;

use serde_json::Value;
use shared::function::Function;

/// All functions, sorted by name.
pub const ALL: &[Function] = &[
    activities::FUNCTION,
    admin::FUNCTION,
    admin_subscriptions::FUNCTION,
    approved_answers::FUNCTION,
    audit_log::FUNCTION,
    auth::FUNCTION,
    billing::FUNCTION,
    changes::FUNCTION,
    company_config::FUNCTION,
    context::FUNCTION,
    conversations::FUNCTION,
    customer::FUNCTION,
    dashboard::FUNCTION,
    docs::FUNCTION,
    document_upload::FUNCTION,
    documents::FUNCTION,
    export_worker::FUNCTION,
    health::FUNCTION,
    ingest_worker::FUNCTION,
    live_mode::FUNCTION,
    maintenance::FUNCTION,
    manychat_webhook::FUNCTION,
    members::FUNCTION,
    migrate::FUNCTION,
    not_found::FUNCTION,
    orders::FUNCTION,
    plans::FUNCTION,
    privacy::FUNCTION,
    products::FUNCTION,
    profile::FUNCTION,
    query::FUNCTION,
    query_stream::FUNCTION,
    quota::FUNCTION,
    reply_worker::FUNCTION,
    stripe_webhook::FUNCTION,
    user_config::FUNCTION,
    webhook_endpoints::FUNCTION,
    webhook_worker::FUNCTION,
];

/// Finds a function by its name in template.yaml.
#[must_use]
pub fn find(name: &str) -> Option<Function> {
    ALL.iter().find(|function| function.name == name).copied()
}

/// The routes of a function's code, such as `GET /health`. Every `GET` has a `HEAD`, which API Gateway routes by itself
/// only where a route says so.
#[must_use]
pub fn routes(function: &Function) -> BTreeSet<String> {
    let document = function.openapi.map(|openapi| serde_json::to_value(openapi()).unwrap_or_default());
    let paths = document.as_ref().and_then(|document| document["paths"].as_object()).into_iter().flatten();
    paths.flat_map(|(path, item)| methods(item).map(move |method| format!("{method} {path}"))).collect()
}

/// The routes that a path would lose to a path with a parameter: `GET /documents/upload` is no route of the code, but
/// matches `GET /documents/{id}`. The function `not-found` has them, so that the answer is a 405 and no 404.
#[must_use]
pub fn shadowed_routes() -> BTreeSet<String> {
    let all: BTreeSet<_> = ALL.iter().flat_map(routes).collect();
    let split = |route: &String| route.split_once(' ').map(|(method, path)| (method.to_owned(), path.to_owned()));
    let pairs: Vec<_> = all.iter().filter_map(split).collect();
    let shadowed = pairs.iter().flat_map(|(_, path)| {
        let taken_by = pairs.iter().filter(move |(_, other)| matches_by_parameter(other, path));
        taken_by.map(move |(method, _)| format!("{method} {path}"))
    });
    shadowed.filter(|route| !all.contains(route)).collect()
}

/// True when the path `general` matches the path `special` because it has a parameter in a place of fixed text.
fn matches_by_parameter(general: &str, special: &str) -> bool {
    let is_parameter = |segment: &str| segment.starts_with('{');
    let (general, special): (Vec<_>, Vec<_>) = (general.split('/').collect(), special.split('/').collect());
    let mut pairs = general.iter().zip(&special);
    general.len() == special.len()
        && general != special
        && pairs.all(|(general, special)| general == special || (is_parameter(general) && !is_parameter(special)))
}

fn methods(item: &Value) -> impl Iterator<Item = String> {
    let all =
        [("get", "GET"), ("get", "HEAD"), ("post", "POST"), ("put", "PUT"), ("patch", "PATCH"), ("delete", "DELETE")];
    all.into_iter().filter(move |(documented, _)| item.get(*documented).is_some()).map(|(_, method)| method.to_owned())
}
