//! The crate that all functions share, on three floors. Code names modules of its own floor and of those below, never
//! above, and no two modules name each other: `local/tests/platform/structure.rs` holds both.
//!
//! - `domain`: one module a noun of the product, with its rules and its SQL.
//! - `integrations`: clients of outside systems.
//! - `foundation`: settings, logging, database handles, HTTP conventions, sign-in, errors.
//!
//! Every module is re-exported here, so a function names `shared::orders` without its floor.

mod domain;
mod foundation;
mod integrations;

pub use domain::{
    accounts, activities, administrators, adoption, approved_answers, billing, bot_sessions, changes, chunking,
    company_config, context, conversations, currency, customer_admin, customer_texts, dashboard, documents, feedback,
    golden_questions, invitations, links, members, messages, notices, opt_outs, orders, outbox, password_resets,
    periods, plans, previews, privacy, products, profiles, questions, quota, reembedding, retrieval, sales,
    section_chunks, tenants, time_range, unanswered, unconfirmed, unread_bodies, usage, user_configs,
    webhook_endpoints,
};
pub(crate) use foundation::redis_connection;
pub use foundation::{
    audit, auth, aws, cache, clock, db, error, error_reports, function, http, idempotency, input, jobs, logging,
    paging, rate_limits, sealed, settings, task_progress, telemetry, text,
};
pub(crate) use integrations::model_api;
pub use integrations::{embeddings, files, llm, manychat, outbound, pdf, queue, storage, stripe};

// For `routes!`.
#[doc(hidden)]
pub use utoipa_axum;
