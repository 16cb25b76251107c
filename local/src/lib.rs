//! The whole product on one machine: PostgreSQL, a stand-in for AWS, the functions in one process, and before them a
//! gateway and pollers that follow template.yaml. `cargo dev` runs it, and so do the tests ([`testing`]).
//!
//! Product code does not know of it: the functions get settings as they do deployed, and the AWS SDK an endpoint.

pub mod aws;
pub mod bench;
pub mod bench_pdf;
pub mod bench_retrieval;
pub mod bench_webhook;
pub mod corpus;
pub mod demo;
pub mod dev;
pub mod environment;
pub mod eval;
pub mod fakes;
pub mod functions;
pub mod gateway;
pub mod import_subscriptions;
pub mod kept;
pub mod lambda;
pub mod new_function;
pub mod openapi;
pub mod operator;
pub mod phone;
pub mod queue;
pub mod schedule;
pub mod seed;
pub mod servers;
pub mod stack;
pub mod stripe_event;
pub mod template;
pub mod testing;
