//! Stripe: what it sends ([`Event`], behind the gate [`StripeEvent`]) and what it is asked ([`Client`]). Its shapes alone;
//! what they mean for a tenant is in [`crate::billing`].

mod client;
mod event;
mod incoming;
pub mod signature;

pub use client::{Checkout, Client, InvoiceItem, StripeError, Subscriptions};
pub use event::{Event, Happening, Invoice, Status, Subscription, Unreadable};
pub use incoming::{Secrets, StripeEvent};
