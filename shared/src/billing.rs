//! Subscriptions, in the schema `billing`, and their projection onto the app's schema.
//!
//! An event of Stripe passes three steps. The ledger `stripe_events` stores it. A watermark decides whether it
//! changes the subscription's row in `subscription_states`; `subscriptions` holds a user's subscription that counts.
//! The projection writes `users.is_pro`, `profiles` and `customers.plan_id`.
//!
//! The two schemas may be in two databases, so no transaction spans both. Each step is idempotent and records that it
//! was done. A failed step is answered with 500, and is resumed at Stripe's next delivery or by the nightly
//! reconcile.

mod import;
mod ledger;
mod period_close;
mod projection;
mod reconcile;
mod states;

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;
use uuid::Uuid;

use crate::{
    db::{BillingDb, SystemDb, TenantTx},
    error::ApiError,
    logging, plans,
    settings::Settings,
    stripe::{Event, EventKind, StripeClient, Subscription},
};

pub use import::{ImportCounts, OldSubscription, import};
pub use period_close::{BillingRecord, BillingRecordListing, CloseCounts, list_records};
pub use projection::{Entitlement, ProjectionOutcome};
pub use reconcile::ReconcileReport;
use states::PlanPrices;

/// Processor of subscriptions, with its databases and Stripe's client. For functions that log in as the system role.
#[derive(Debug, Clone)]
pub struct Billing {
    db: BillingDb,
    app: SystemDb,
    /// Stripe's client; `None` when no key is set.
    stripe: Option<StripeClient>,
    /// Time for which access continues after a failed payment, or after a period's end without a renewal event.
    grace: TimeDelta,
}

/// Result of receiving an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BillingEventOutcome {
    /// The event was applied and projected.
    Done,
    /// The event was applied and projected at an earlier delivery.
    Repeated,
    /// The event is of a known type that changes nothing here; the ledger keeps it.
    Noted,
    /// The event is of a type that is not handled; the ledger keeps it.
    Unknown,
    /// The event is of a handled type, but its object cannot be parsed. The ledger keeps it, and each reconcile
    /// retries it, since a later release may parse it.
    Unreadable,
}

impl Billing {
    /// Reads the settings of both databases and of Stripe, and BILLING_GRACE_DAYS.
    pub fn read(settings: &mut Settings) -> Self {
        let days = settings.parsed("BILLING_GRACE_DAYS", 7_u16);
        Self {
            db: BillingDb::read(settings),
            app: SystemDb::read(settings),
            stripe: StripeClient::read(settings),
            grace: TimeDelta::days(days.into()),
        }
    }

    /// The app's database.
    #[must_use]
    pub fn app(&self) -> &SystemDb {
        &self.app
    }

    /// Sets the databases' timeouts for background work, which no caller waits for.
    #[must_use]
    pub fn with_background_timeout(self) -> Self {
        Self { db: self.db.with_background_timeout(), app: self.app.with_background_timeout(), ..self }
    }

    /// Stores an event in the ledger, applies and projects it. A repeated call resumes at the first step that is not
    /// done, and changes nothing once all steps are done.
    ///
    /// # Errors
    /// Returns 503 or 500 for a failure that Stripe's next delivery may overcome.
    pub async fn receive(&self, event: &Event, now: DateTime<Utc>) -> Result<BillingEventOutcome, ApiError> {
        let progress = self.db.billing_tx(async |tx| Ok::<_, ApiError>(ledger::insert(tx, event).await?)).await?;
        if progress.is_projected {
            return Ok(BillingEventOutcome::Repeated);
        }
        self.process_event(event, progress.is_applied, now).await
    }

    /// Runs the steps that an event of the ledger has not passed yet.
    async fn process_event(
        &self,
        event: &Event,
        is_applied: bool,
        now: DateTime<Utc>,
    ) -> Result<BillingEventOutcome, ApiError> {
        let kind = match event.parse_kind() {
            Ok(kind) => kind,
            Err(error) => {
                logging::metric("StripeEventsUnreadable", 1.0);
                tracing::error!(event_id = event.id, kind = event.kind, %error, "an event is not of its type's shape");
                let reason = error.to_string();
                self.db
                    .billing_tx(async |tx| Ok::<_, ApiError>(ledger::record_error(tx, &event.id, &reason).await?))
                    .await?;
                return Ok(BillingEventOutcome::Unreadable);
            }
        };
        let outcome = match kind {
            EventKind::NoEffect => BillingEventOutcome::Noted,
            EventKind::Unhandled => BillingEventOutcome::Unknown,
            _ => BillingEventOutcome::Done,
        };
        if !is_applied {
            self.apply(event, &kind).await?;
        }
        let users = self.db.billing_tx(async |tx| Ok::<_, ApiError>(states::affected_users(tx, &kind).await?)).await?;
        for user in users {
            self.project(&user, now).await?;
        }
        if let EventKind::Invoice(invoice) = &kind {
            self.app
                .system_tx(async |tx| Ok::<_, ApiError>(period_close::record_invoice_payment(tx, invoice).await?))
                .await?;
        }
        self.db.billing_tx(async |tx| Ok::<_, ApiError>(ledger::mark_projected(tx, &event.id).await?)).await?;
        Ok(outcome)
    }

    /// Applies an event. Without a Stripe client, the event's own object is applied. With one, the subscription's
    /// present state is fetched and applied instead, unless Stripe does not know the subscription.
    async fn apply(&self, event: &Event, kind: &EventKind) -> Result<(), ApiError> {
        let snapshot = match (&self.stripe, subscription_of(kind)) {
            (Some(stripe), Some(id)) => self.fetch_snapshot(stripe, id, event.created).await?,
            _ => None,
        };
        // An event of Stripe's test mode grants nothing when the client's key is of the live mode.
        let is_trusted = event.is_live() || self.stripe.as_ref().is_none_or(|stripe| !stripe.is_live());
        let event_object = match kind {
            EventKind::Subscription(subscription) if is_trusted => Some(subscription.as_ref()),
            _ => None,
        };
        let needs_prices = snapshot.is_some() || event_object.is_some();
        let prices = if needs_prices { self.prices().await? } else { PlanPrices::default() };
        self.db
            .billing_tx(async |tx| {
                if let EventKind::Checkout { customer: Some(customer), user: Some(user), .. } = kind {
                    states::link_customer(tx, customer, user).await?;
                }
                if let EventKind::CustomerDeleted(customer) = kind {
                    states::mark_customer_deleted(tx, customer).await?;
                }
                match (&snapshot, event_object) {
                    (Some((number, subscription)), _) => {
                        states::apply_snapshot(tx, subscription, &prices, *number, event.created).await?;
                    }
                    (None, Some(subscription)) => states::apply_event(tx, subscription, &prices, event).await?,
                    (None, None) => {}
                }
                for user in states::affected_users(tx, kind).await? {
                    states::choose_current(tx, &user).await?;
                }
                ledger::mark_applied(tx, &event.id).await?;
                Ok(())
            })
            .await
    }

    /// Fetches a subscription's present state from Stripe, with the number of the fetch.
    ///
    /// The number is assigned before the request, since the response may arrive after that of a later fetch. `None`
    /// when Stripe does not know the subscription. Stripe will not know it at the next delivery either, so the signed
    /// event's own object is applied then.
    async fn fetch_snapshot(
        &self,
        stripe: &StripeClient,
        id: &str,
        event_at: DateTime<Utc>,
    ) -> Result<Option<(i64, Subscription)>, ApiError> {
        let number =
            self.db.billing_tx(async |tx| Ok::<_, ApiError>(states::begin_fetch(tx, id, event_at).await?)).await?;
        match stripe.get_subscription(id).await {
            Ok(subscription) => Ok(Some((number, subscription))),
            Err(error) if error.is_missing() => {
                tracing::warn!(error = logging::chain(&error), "an event is about a subscription that is not there");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the plans' prices from the app's database.
    async fn prices(&self) -> Result<PlanPrices, ApiError> {
        self.app.system_tx(async |tx| Ok(PlanPrices::new(plans::names_by_price_id(tx).await?))).await
    }
}

/// Id of the subscription that an event concerns.
fn subscription_of(kind: &EventKind) -> Option<&str> {
    match kind {
        EventKind::Subscription(subscription) => Some(&subscription.id),
        EventKind::Checkout { subscription, .. } => subscription.as_deref(),
        EventKind::Invoice(invoice) => invoice.subscription.as_deref(),
        EventKind::CustomerDeleted(_) | EventKind::NoEffect | EventKind::Unhandled => None,
    }
}

/// Generates an id of the form of CUID2: a letter, then 23 letters and digits.
fn new_id() -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = rand::rng();
    let letter = |place| char::from(ALPHABET[random.random_range(0..if place == 0 { 26 } else { 36 })]);
    (0..24).map(letter).collect()
}

/// The subscription of a tenant's owner, as projected onto `profiles`.
#[derive(Debug)]
pub struct SubscriptionView {
    /// Email address of the owner.
    pub email: String,
    /// Customer at Stripe (`cus_…`).
    pub customer: Option<String>,
    /// Status, as `profiles.subscription_status` has it.
    pub status: String,
    /// Start of the paid period.
    pub period_start: Option<DateTime<Utc>>,
    /// End of the paid period.
    pub period_end: Option<DateTime<Utc>>,
    /// True when the subscription ends with the period.
    pub cancel_at_period_end: bool,
}

/// Reads the subscription of a tenant's owner.
///
/// # Errors
/// Returns the database's error.
pub async fn subscription_view(tx: &mut TenantTx, owner: Uuid) -> sqlx::Result<SubscriptionView> {
    sqlx::query_as!(
        SubscriptionView,
        r#"
        select email, stripe_customer_id as customer, subscription_status as status,
            subscription_current_period_start as period_start, subscription_current_period_end as period_end,
            subscription_cancel_at_period_end as cancel_at_period_end
        from profiles where id = $1
        "#,
        owner
    )
    .fetch_one(tx)
    .await
}
