//! The code that Lisa's Lambda functions share: HTTP conventions, identity, tenancy, clients of other services, and
//! one module per domain noun with its rules and its SQL.

pub mod accounts;
pub mod activities;
pub mod approved_answers;
pub mod audit;
pub mod auth;
pub mod aws;
pub mod billing;
pub mod bot_sessions;
pub mod chunking;
pub mod conversations;
pub mod currency;
pub mod db;
pub mod documents;
pub mod embeddings;
pub mod error;
pub mod feedback;
pub mod function;
pub mod http;
pub mod idempotency;
pub mod input;
pub mod jobs;
pub mod llm;
pub mod logging;
pub mod manychat;
pub mod messages;
pub mod orders;
pub mod outbound;
pub mod outbox;
pub mod paging;
pub mod pdf;
pub mod periods;
pub mod plans;
pub mod products;
pub mod questions;
pub mod queue;
pub mod quota;
pub mod rate_limits;
pub mod reembedding;
pub mod retrieval;
pub mod sealed;
pub mod settings;
pub mod storage;
pub mod stripe;
pub mod tenants;
pub mod text;
pub mod unanswered;
pub mod usage;

// The macro `routes!` expands to paths of this crate.
#[doc(hidden)]
pub use utoipa_axum;
