//! The local stack: the whole product on one machine. It consists of PostgreSQL, an AWS stand-in, all functions in
//! one process, and a gateway and queue pollers that follow template.yaml. `cargo dev` and the tests ([`testing`])
//! run it.
//!
//! Product code does not depend on the local stack. The functions read settings as they do when deployed, and the AWS
//! SDK gets an endpoint URL.

pub mod adopt;
pub mod aws;
pub mod bench;
pub mod bench_lists;
pub mod bench_load;
pub mod bench_pdf;
pub mod bench_retrieval;
mod bench_stack;
pub mod bench_webhook;
pub mod collection;
pub mod console;
pub mod corpus;
pub mod demo;
pub mod dev;
pub mod doctor;
pub mod embedding_mean;
pub mod environment;
pub mod eval;
pub mod fakes;
pub mod functions;
pub mod fuzz;
pub mod gateway;
pub mod histories;
pub mod import_subscriptions;
pub mod lambda;
pub mod metrics;
pub mod new_function;
pub mod ocr_models;
pub mod openapi;
pub mod operator;
pub mod phone;
pub mod queue;
pub mod random;
pub mod resources;
mod running;
pub mod schedule;
pub mod secrets;
pub mod servers;
pub mod settings;
pub mod stack;
pub mod stripe_event;
pub mod template;
pub mod testing;
pub mod traces;
