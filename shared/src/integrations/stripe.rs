//! Stripe's API: events that Stripe sends ([`Event`], verified by the extractor [`StripeEvent`]) and calls to Stripe
//! ([`StripeClient`]).
//!
//! This module parses and sends Stripe's objects. [`crate::billing`] decides their effect on a tenant.

mod client;
mod endpoints;
mod event;
mod sessions;
pub mod signature;
mod webhook;

pub use client::{
    CheckoutRequest, CheckoutSession, CollectionState, InvoiceItem, InvoiceItemState, InvoiceState, NewInvoice,
    StripeClient, StripeError, SubscriptionPage,
};
pub use endpoints::WebhookEndpoint;
pub use event::{Event, EventKind, EventParseError, Invoice, Subscription, SubscriptionItem, SubscriptionStatus};
pub use sessions::{Charge, CheckoutSessionState};
pub use webhook::{StripeEvent, WebhookSecrets};
