//! HTTP tests of the whole product: the real gateway, PostgreSQL, and a stand-in for S3 and SQS. Each test has its own
//! stack.
//!
//! With `TEST_POOLER=1`, PgBouncer in transaction mode stands between the functions and the database.

#[cfg(test)]
mod activities;
#[cfg(test)]
mod admin;
#[cfg(test)]
mod admin_subscriptions;
#[cfg(test)]
mod answers;
#[cfg(test)]
mod approved_answers;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod audit_log;
#[cfg(test)]
mod auth;
#[cfg(test)]
mod authorization;
#[cfg(test)]
mod billing;
#[cfg(test)]
mod changes;
#[cfg(test)]
mod company_config;
#[cfg(test)]
mod context;
#[cfg(test)]
mod conversations;
#[cfg(test)]
mod customers;
#[cfg(test)]
mod dashboard;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod document_contents;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod embedding_model;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod field_requests;
#[cfg(test)]
mod first_day;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod health;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod hostile_pdfs;
#[cfg(test)]
mod hostile_requests;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod ingestion;
#[cfg(test)]
mod invitations;
#[cfg(test)]
mod jwks;
#[cfg(test)]
mod key_rotation;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod live_mode;
#[cfg(test)]
mod load;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod maintenance;
#[cfg(test)]
mod members;
#[cfg(test)]
mod models;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod overages;
#[cfg(test)]
mod password_resets;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod privacy;
#[cfg(test)]
mod products;
#[cfg(test)]
mod profiles;
#[cfg(test)]
mod prometheus;
#[cfg(test)]
mod purchases;
#[cfg(test)]
mod query;
#[cfg(test)]
mod query_stream;
#[cfg(test)]
mod quota;
#[cfg(test)]
mod rate_limits;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod reembedding;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod scans;
#[cfg(test)]
mod session_cookies;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod stripe;
#[cfg(test)]
mod subscriptions;
#[cfg(test)]
mod supabase;
#[cfg(test)]
mod support;
#[cfg(test)]
mod text_limits;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod turns;
#[cfg(test)]
mod unconfirmed;
#[cfg(test)]
mod unknown_fields;
#[cfg(test)]
mod uploads;
#[cfg(test)]
mod user_config;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod webhook_endpoints;
#[cfg(test)]
mod whatsapp;
