//! The top floor: one module a noun of the product, with its rules and its SQL. Uses both floors below.

pub mod accounts;
pub mod activities;
pub mod approved_answers;
pub mod billing;
pub mod bot_sessions;
pub mod chunking;
pub mod conversations;
pub mod currency;
pub mod customer_texts;
pub mod documents;
pub mod feedback;
pub mod messages;
pub mod notices;
pub mod orders;
pub mod outbox;
pub mod periods;
pub mod plans;
pub mod products;
pub mod questions;
pub mod quota;
pub mod reembedding;
pub mod retrieval;
pub mod tenants;
pub mod unanswered;
pub mod unread_bodies;
pub mod usage;
