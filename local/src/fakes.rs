//! Fake servers on the loopback interface for the product's external services. They use the services' formats, reject
//! what the services reject, and simulate their failures.

pub mod collector;
pub mod manychat;
pub mod models;
pub mod queue;
pub mod sentry;
pub mod stripe;
pub mod webhook_receiver;
