//! The real programs of all functions, as Lambda runs them: built, started with the settings that template.yaml gives
//! them, and fed the events of events/ by a Runtime API.

mod build;
mod flow;
mod logs;
mod metrics;
mod runtime_api;
mod starts;
