//! Subscriptions, in the schema `billing`, and what follows from them in the app's: what Stripe tells goes into a ledger
//! (`stripe_events`), is applied behind a watermark (`subscription_states`, of which `subscriptions` holds the one that
//! counts), and is projected onto `users.is_pro`, `profiles` and `customers.plan_id`.
//!
//! The two schemas may be in two databases, so no transaction spans them. Each step is idempotent and remembers that it
//! was done; what fails in between is answered 500 and taken up at Stripe's next delivery, or by the nightly reconcile.

mod closing;
mod import;
mod ledger;
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
    stripe::{Client, Event, Happening, Subscription},
};

pub use closing::{BillingRecord, BillingRecordListing, Closed, list_records};
pub use import::{Imported, OldSubscription, import};
pub use projection::{Entitlement, Projected};
pub use reconcile::Report;
use states::Prices;

/// Everything that subscriptions need, in functions that log in as the system.
#[derive(Debug, Clone)]
pub struct Billing {
    db: BillingDb,
    app: SystemDb,
    /// Present where Stripe may be asked.
    stripe: Option<Client>,
    /// How long access outlives a payment that failed, or a renewal that nobody told us of.
    grace: TimeDelta,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was applied and projected.
    Done,
    /// It was done before.
    Repeated,
    /// It concerns nothing here; it is in the ledger.
    Noted,
    /// It is of a type that is not handled; it is in the ledger.
    Unknown,
    /// It is of a known type, but not of its shape. It stays in the ledger, and is tried again by the reconcile: by then
    /// its shape may be known.
    Unreadable,
}

impl Billing {
    /// Reads the databases', Stripe's and BILLING_GRACE_DAYS.
    pub fn read(settings: &mut Settings) -> Self {
        let days = settings.parsed("BILLING_GRACE_DAYS", 7_u16);
        Self {
            db: BillingDb::read(settings),
            app: SystemDb::read(settings),
            stripe: Client::read(settings),
            grace: TimeDelta::days(days.into()),
        }
    }

    /// The app's database.
    #[must_use]
    pub fn app(&self) -> &SystemDb {
        &self.app
    }

    /// For work that no caller waits for.
    #[must_use]
    pub fn patient(self) -> Self {
        Self { db: self.db.patient(), app: self.app.patient(), ..self }
    }

    /// Takes an event: into the ledger, then as far as it goes. Repeating it takes up what was left, and changes nothing
    /// once all is done.
    ///
    /// # Errors
    /// 503 and 500 for what may go well at the next delivery.
    pub async fn receive(&self, event: &Event, now: DateTime<Utc>) -> Result<Outcome, ApiError> {
        let progress = self.db.billing(async |tx| Ok::<_, ApiError>(ledger::enter(tx, event).await?)).await?;
        if progress.is_projected {
            return Ok(Outcome::Repeated);
        }
        self.finish(event, progress.is_applied, now).await
    }

    async fn finish(&self, event: &Event, is_applied: bool, now: DateTime<Utc>) -> Result<Outcome, ApiError> {
        let happening = match event.happening() {
            Ok(happening) => happening,
            Err(error) => {
                logging::metric("StripeEventsUnreadable", 1.0);
                tracing::error!(event_id = event.id, kind = event.kind, %error, "an event is not of its type's shape");
                let reason = error.to_string();
                self.db.billing(async |tx| Ok::<_, ApiError>(ledger::fail(tx, &event.id, &reason).await?)).await?;
                return Ok(Outcome::Unreadable);
            }
        };
        let outcome = match happening {
            Happening::Noted => Outcome::Noted,
            Happening::Unknown => Outcome::Unknown,
            _ => Outcome::Done,
        };
        if !is_applied {
            self.apply(event, &happening).await?;
        }
        let users = self.db.billing(async |tx| Ok::<_, ApiError>(states::affected(tx, &happening).await?)).await?;
        for user in users {
            self.project(&user, now).await?;
        }
        if let Happening::Invoice(invoice) = &happening {
            self.app.system(async |tx| Ok::<_, ApiError>(closing::invoice_told(tx, invoice).await?)).await?;
        }
        self.db.billing(async |tx| Ok::<_, ApiError>(ledger::finish(tx, &event.id).await?)).await?;
        Ok(outcome)
    }

    /// Applies what an event says, or, where Stripe may be asked and knows it, what it says now of the subscription that the
    /// event is about.
    async fn apply(&self, event: &Event, happening: &Happening) -> Result<(), ApiError> {
        let fetched = match (&self.stripe, subscription_of(happening)) {
            (Some(stripe), Some(id)) => self.fetch(stripe, id, event.created).await?,
            _ => None,
        };
        // What Stripe plays in its test mode buys nothing where the money is real.
        let is_believed = event.is_live() || self.stripe.as_ref().is_none_or(|stripe| !stripe.is_live());
        let told = match happening {
            Happening::Subscription(subscription) if is_believed => Some(subscription.as_ref()),
            _ => None,
        };
        let needs_prices = fetched.is_some() || told.is_some();
        let prices = if needs_prices { self.prices().await? } else { Prices::default() };
        self.db
            .billing(async |tx| {
                if let Happening::Checkout { customer: Some(customer), user: Some(user), .. } = happening {
                    states::link(tx, customer, user).await?;
                }
                if let Happening::CustomerDeleted(customer) = happening {
                    states::customer_deleted(tx, customer).await?;
                }
                match (&fetched, told) {
                    (Some((number, subscription)), _) => {
                        states::apply_fetched(tx, subscription, &prices, *number, event.created).await?;
                    }
                    (None, Some(subscription)) => states::apply_told(tx, subscription, &prices, event).await?,
                    (None, None) => {}
                }
                for user in states::affected(tx, happening).await? {
                    states::choose(tx, &user).await?;
                }
                ledger::applied(tx, &event.id).await?;
                Ok(())
            })
            .await
    }

    /// Asks Stripe how a subscription stands. The question is numbered before it is asked, since its answer may arrive
    /// after that to a later one. A subscription that Stripe does not know, it will not know at the next delivery either:
    /// then the event, which is signed, counts as it is.
    async fn fetch(
        &self,
        stripe: &Client,
        id: &str,
        heard_at: DateTime<Utc>,
    ) -> Result<Option<(i64, Subscription)>, ApiError> {
        let number =
            self.db.billing(async |tx| Ok::<_, ApiError>(states::begin_fetch(tx, id, heard_at).await?)).await?;
        match stripe.subscription(id).await {
            Ok(subscription) => Ok(Some((number, subscription))),
            Err(error) if error.is_missing() => {
                tracing::warn!(error = logging::chain(&error), "an event is about a subscription that is not there");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn prices(&self) -> Result<Prices, ApiError> {
        self.app.system(async |tx| Ok(Prices::new(plans::prices(tx).await?))).await
    }
}

/// The subscription that an event is about.
fn subscription_of(happening: &Happening) -> Option<&str> {
    match happening {
        Happening::Subscription(subscription) => Some(&subscription.id),
        Happening::Checkout { subscription, .. } => subscription.as_deref(),
        Happening::Invoice(invoice) => invoice.subscription.as_deref(),
        Happening::CustomerDeleted(_) | Happening::Noted | Happening::Unknown => None,
    }
}

/// A new id in the form of CUID2: a letter, and 23 letters and digits.
fn new_id() -> String {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = rand::rng();
    let letter = |place| char::from(LETTERS[random.random_range(0..if place == 0 { 26 } else { 36 })]);
    (0..24).map(letter).collect()
}

/// What a tenant's own transaction knows of its owner's subscription.
#[derive(Debug)]
pub struct Known {
    /// The owner's address.
    pub email: String,
    /// `cus_…`
    pub customer: Option<String>,
    /// `profiles.subscription_status`.
    pub status: String,
    /// The paid period.
    pub period_start: Option<DateTime<Utc>>,
    /// Its end.
    pub period_end: Option<DateTime<Utc>>,
    /// Whether it ends with the period.
    pub cancel_at_period_end: bool,
}

/// The projection of the owner's subscription.
///
/// # Errors
/// The database's.
pub async fn known_to_tenant(tx: &mut TenantTx, owner: Uuid) -> sqlx::Result<Known> {
    sqlx::query_as!(
        Known,
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
