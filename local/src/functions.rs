//! The list of all functions. The local stack runs only the functions in it.

use std::collections::BTreeSet;

use serde_json::Value;
use shared::function::Function;

/// All functions, sorted by name.
pub const ALL: &[Function] = &[
    admin_subscriptions::FUNCTION,
    audit_log::FUNCTION,
    auth::FUNCTION,
    billing::FUNCTION,
    conversations::FUNCTION,
    customer::FUNCTION,
    docs::FUNCTION,
    document_upload::FUNCTION,
    documents::FUNCTION,
    health::FUNCTION,
    ingest_worker::FUNCTION,
    live_mode::FUNCTION,
    maintenance::FUNCTION,
    manychat_webhook::FUNCTION,
    migrate::FUNCTION,
    not_found::FUNCTION,
    query::FUNCTION,
    query_stream::FUNCTION,
    quota::FUNCTION,
    reply_worker::FUNCTION,
    stripe_webhook::FUNCTION,
];

/// Finds a function by its name in template.yaml.
#[must_use]
pub fn find(name: &str) -> Option<Function> {
    ALL.iter().find(|function| function.name == name).copied()
}

/// The routes of a function's code, such as `GET /health`.
#[must_use]
pub fn routes(function: &Function) -> BTreeSet<String> {
    let document = function.openapi.map(|openapi| serde_json::to_value(openapi()).unwrap_or_default());
    let paths = document.as_ref().and_then(|document| document["paths"].as_object()).into_iter().flatten();
    paths.flat_map(|(path, item)| methods(item).map(move |method| format!("{method} {path}"))).collect()
}

fn methods(item: &Value) -> impl Iterator<Item = String> {
    let all = ["get", "post", "put", "patch", "delete"].into_iter();
    all.filter(move |method| item.get(*method).is_some()).map(str::to_uppercase)
}
