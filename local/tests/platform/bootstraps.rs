//! The programs of all functions as Lambda runs them: built, started with their settings from template.yaml, and
//! given the events of events/ by a Runtime API.

mod build;
mod errors;
mod flow;
mod logs;
mod metrics;
mod runtime_api;
mod starts;
mod traces;
