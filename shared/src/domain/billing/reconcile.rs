//! The nightly reconcile: finishes the ledger's unfinished events, compares every subscription with Stripe's, and
//! compares every projection with its subscription. Differences are repaired and logged.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{events::BillingEventOutcome, ledger, processor::Billing, projection::ProjectionOutcome, states};
use crate::{
    db::BillingTx,
    error::ApiError,
    logging,
    stripe::{Event, StripeClient},
};

/// Rows per transaction.
const PAGE_SIZE: i64 = 500;

/// Counts and differences of one reconcile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReconcileReport {
    /// Unfinished events of the ledger that this run finished.
    pub events_finished: u64,
    /// Unfinished events of the ledger that failed again.
    pub events_left: u64,
    /// Subscriptions that Stripe listed.
    pub subscriptions_checked: u64,
    /// Ids of the subscriptions that differed from Stripe's and were repaired.
    pub repaired: Vec<String>,
    /// Ids of the subscriptions that are not ended here and that Stripe did not list.
    pub missing: Vec<String>,
    /// Users whose projection differed from their subscription and was repaired.
    pub projections_repaired: u64,
}

impl Billing {
    /// Runs the three parts of the reconcile. A failed part does not keep the others from running.
    ///
    /// # Errors
    /// Returns the error of the first part that failed, after all parts have run.
    pub async fn reconcile(&self, now: DateTime<Utc>) -> Result<ReconcileReport, ApiError> {
        let mut report = ReconcileReport::default();
        let finished = self.finish_events(now, &mut report).await;
        let compared = match &self.stripe {
            Some(stripe) => self.compare(stripe, now, &mut report).await,
            None => Ok(()),
        };
        let projected = self.project_all(now, &mut report).await;
        let differences = report.repaired.len() + report.missing.len();
        if differences > 0 {
            logging::metric("SubscriptionsDiffering", differences as f64);
        }
        for id in &report.repaired {
            tracing::warn!(subscription = id, "a subscription was not as Stripe has it; it is now");
        }
        for id in &report.missing {
            tracing::warn!(subscription = id, "Stripe does not have a subscription that is not over");
        }
        finished.and(compared).and(projected).map(|()| report)
    }

    /// Processes the unfinished events of the ledger.
    async fn finish_events(&self, now: DateTime<Utc>, report: &mut ReconcileReport) -> Result<(), ApiError> {
        let mut after = String::new();
        loop {
            let unfinished =
                self.db.billing_tx(async |tx| Ok(ledger::list_unfinished(tx, &after, PAGE_SIZE).await?)).await?;
            let Some(last) = unfinished.last() else { return Ok(()) };
            after.clone_from(&last.id);
            for event in unfinished {
                let finished = match Event::from_payload(event.payload) {
                    Ok(parsed) => self.process_event(&parsed, event.is_applied, now).await,
                    Err(error) => Err(ApiError::internal().with_source(error)),
                };
                match finished {
                    Ok(BillingEventOutcome::Unreadable) => report.events_left += 1,
                    Ok(_) => report.events_finished += 1,
                    Err(error) => {
                        report.events_left += 1;
                        tracing::warn!(event_id = event.id, error = logging::chain(&error), "an event is left");
                    }
                }
            }
        }
    }

    /// Compares every subscription with Stripe's list.
    async fn compare(
        &self,
        stripe: &StripeClient,
        now: DateTime<Utc>,
        report: &mut ReconcileReport,
    ) -> Result<(), ApiError> {
        // The fetches are numbered before Stripe is asked. A webhook's fetch that starts meanwhile has a higher
        // number, so its snapshot stays.
        let mut numbers = self.db.billing_tx(async |tx| Ok(states::begin_all_fetches(tx).await?)).await?;
        let prices = self.prices().await?;
        let mut seen = HashSet::new();
        let mut after: Option<String> = None;
        loop {
            let listed = stripe.list_subscriptions(after.as_deref()).await?;
            for subscription in &listed.subscriptions {
                report.subscriptions_checked += 1;
                seen.insert(subscription.id.clone());
                let number = match numbers.get(&subscription.id) {
                    Some(number) => *number,
                    None => {
                        let id = &subscription.id;
                        let begin_fetch = async |tx: &mut BillingTx| Ok(states::begin_fetch(tx, id, now).await?);
                        self.db.billing_tx(begin_fetch).await?
                    }
                };
                let differs = self
                    .db
                    .billing_tx(async |tx| {
                        let differs = states::apply_snapshot(tx, subscription, &prices, number, now).await?;
                        if differs && let Some(user) = states::find_user(tx, &subscription.id).await? {
                            states::choose_current(tx, &user).await?;
                        }
                        Ok(differs)
                    })
                    .await?;
                if differs {
                    report.repaired.push(subscription.id.clone());
                }
            }
            match listed.next_cursor {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        numbers.retain(|id, _| !seen.contains(id));
        let ids: Vec<_> = numbers.into_keys().collect();
        report.missing = self.db.billing_tx(async |tx| Ok(states::list_not_ended(tx, &ids).await?)).await?;
        Ok(())
    }

    /// Projects the subscription of every user.
    async fn project_all(&self, now: DateTime<Utc>, report: &mut ReconcileReport) -> Result<(), ApiError> {
        let mut after = String::new();
        loop {
            let users = self.db.billing_tx(async |tx| Ok(users(tx, &after, PAGE_SIZE).await?)).await?;
            let Some(last) = users.last() else { return Ok(()) };
            after.clone_from(last);
            for user in users {
                if self.project(&user, now).await? == ProjectionOutcome::Changed {
                    report.projections_repaired += 1;
                }
            }
        }
    }
}

/// Lists up to `limit` ids of users with a subscription, in bytewise order, greater than `after`.
async fn users(tx: &mut BillingTx, after: &str, limit: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        select user_id from billing.subscriptions
        where user_id collate "C" > $1 order by user_id collate "C" limit $2
        "#,
        after,
        limit
    )
    .fetch_all(tx)
    .await
}
