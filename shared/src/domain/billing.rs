//! Subscriptions, in the schema `billing`, and their projection onto the app's schema.
//!
//! An event of Stripe passes three steps. The ledger `stripe_events` stores it. A watermark decides whether it
//! changes the subscription's row in `subscription_states`; `subscriptions` holds a user's subscription that counts.
//! The projection writes `users.is_pro`, `profiles` and `customers.plan_id`.
//!
//! The two schemas may be in two databases, so no transaction spans both. Each step is idempotent and records that it
//! was done. A failed step is answered with 500, and is resumed at Stripe's next delivery or by the nightly
//! reconcile.

pub mod checkout;
mod collection;
mod duplicates;
mod events;
mod ids;
mod import;
mod ledger;
mod notices;
mod orphans;
mod overages;
mod period_close;
mod processor;
mod projection;
mod reconcile;
mod reversals;
mod states;
mod view;

pub use events::BillingEventOutcome;
pub(crate) use ids::new_id;
pub use import::{ImportCounts, OldSubscription, import};
pub use orphans::{Assignment, UnassignedListing, UnassignedSubscription};
pub use period_close::{BillingRecord, BillingRecordListing, CloseCounts, list_records};
pub use processor::Billing;
pub use projection::{Entitlement, ProjectionOutcome};
pub use reconcile::ReconcileReport;
pub use view::{SubscriptionView, subscription_view};
