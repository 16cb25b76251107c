//! Every function of the product. One that is missing here does not run here.

use shared::function::Function;

/// The functions, by name.
pub const ALL: &[Function] = &[
    auth::FUNCTION,
    customer::FUNCTION,
    billing::FUNCTION,
    default::FUNCTION,
    docs::FUNCTION,
    document_upload::FUNCTION,
    documents::FUNCTION,
    health::FUNCTION,
    ingest_worker::FUNCTION,
    live_mode::FUNCTION,
    maintenance::FUNCTION,
    manychat_webhook::FUNCTION,
    messages::FUNCTION,
    migrate::FUNCTION,
    privacy::FUNCTION,
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
