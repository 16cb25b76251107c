//! The processor of subscriptions: both databases, Stripe's client and the grace period.

use chrono::TimeDelta;

use super::{ledger, states::PlanPrices};
use crate::{
    db::{BillingDb, SystemDb},
    error::ApiError,
    plans,
    settings::Settings,
    stripe::StripeClient,
};

/// Processor of subscriptions, with its databases and Stripe's client. For functions that log in as the system role.
#[derive(Debug, Clone)]
pub struct Billing {
    pub(super) db: BillingDb,
    pub(super) app: SystemDb,
    /// Stripe's client; `None` when no key is set.
    pub(super) stripe: Option<StripeClient>,
    /// Time for which access continues after a failed payment, or after a period's end without a renewal event.
    pub(super) grace: TimeDelta,
    /// True when the second of two paid subscriptions of a user is cancelled at Stripe.
    pub(super) cancels_duplicates: bool,
}

impl Billing {
    /// Reads the settings of both databases and of Stripe, and BILLING_GRACE_DAYS and
    /// BILLING_CANCEL_DUPLICATES.
    pub fn read(settings: &mut Settings) -> Self {
        let days = settings.number("BILLING_GRACE_DAYS", 7_u16);
        let cancels_duplicates = match settings.text("BILLING_CANCEL_DUPLICATES", "true").as_str() {
            "true" => true,
            "false" => false,
            _ => {
                settings.problem("BILLING_CANCEL_DUPLICATES is neither true nor false");
                false
            }
        };
        Self {
            db: BillingDb::read(settings),
            app: SystemDb::read(settings),
            stripe: StripeClient::read(settings),
            grace: TimeDelta::days(days.into()),
            cancels_duplicates,
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

    /// Deletes at most `limit` events of the ledger that are done and arrived more than `days` ago. Stripe delivers an
    /// event again for three days, and by hand for thirty: an event that is delivered after its row is gone is applied
    /// again, which changes nothing newer.
    ///
    /// # Errors
    /// Returns any database error.
    pub async fn remove_old_events(&self, days: i32, limit: i64) -> Result<u64, ApiError> {
        self.db.billing_tx(async |tx| Ok(ledger::remove_old(tx, days, limit).await?)).await
    }

    /// Reads the plans' prices from the app's database.
    pub(super) async fn prices(&self) -> Result<PlanPrices, ApiError> {
        self.app.system_tx(async |tx| Ok(PlanPrices::new(plans::names_by_price_id(tx).await?))).await
    }
}
