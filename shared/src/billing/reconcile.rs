//! Every night: what the webhook left behind is taken up, every subscription is compared with Stripe's, and every
//! projection with its subscription. Differences are repaired and told.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Billing, Projected, ledger, states};
use crate::{
    db::BillingTx,
    error::ApiError,
    logging,
    stripe::{Client, Event},
};

/// Rows a transaction.
const PAGE: i64 = 500;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Events that were in the ledger only, and are done now.
    pub events_finished: u64,
    /// Events that are still not done.
    pub events_left: u64,
    /// Subscriptions that Stripe has.
    pub subscriptions_checked: u64,
    /// Those that were other than Stripe has them, by their ids.
    pub repaired: Vec<String>,
    /// Those that Stripe does not have, and that are not over.
    pub missing: Vec<String>,
    /// Users whom the app showed something else than their subscription says.
    pub projections_repaired: u64,
}

impl Billing {
    /// Runs all of it. A part that fails leaves the others their turn; its failure is returned in the end.
    ///
    /// # Errors
    /// The databases' and Stripe's.
    pub async fn reconcile(&self, now: DateTime<Utc>) -> Result<Report, ApiError> {
        let mut report = Report::default();
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

    async fn finish_events(&self, now: DateTime<Utc>, report: &mut Report) -> Result<(), ApiError> {
        let mut after = String::new();
        loop {
            let left =
                self.db.billing(async |tx| Ok::<_, ApiError>(ledger::unfinished(tx, &after, PAGE).await?)).await?;
            let Some(last) = left.last() else { return Ok(()) };
            after.clone_from(&last.id);
            for event in left {
                let finished = match Event::of(event.payload) {
                    Ok(read) => self.finish(&read, event.is_applied, now).await,
                    Err(error) => Err(ApiError::internal().because(error)),
                };
                match finished {
                    Ok(super::Outcome::Unreadable) => report.events_left += 1,
                    Ok(_) => report.events_finished += 1,
                    Err(error) => {
                        report.events_left += 1;
                        tracing::warn!(event_id = event.id, error = logging::chain(&error), "an event is left");
                    }
                }
            }
        }
    }

    async fn compare(&self, stripe: &Client, now: DateTime<Utc>, report: &mut Report) -> Result<(), ApiError> {
        // Numbered before Stripe is asked: what a webhook hears meanwhile is newer, and stays.
        let mut numbers = self.db.billing(async |tx| Ok::<_, ApiError>(states::begin_all_fetches(tx).await?)).await?;
        let prices = self.prices().await?;
        let mut seen = HashSet::new();
        let mut after: Option<String> = None;
        loop {
            let listed = stripe.subscriptions(after.as_deref()).await?;
            for subscription in &listed.page {
                report.subscriptions_checked += 1;
                seen.insert(subscription.id.clone());
                let number = match numbers.get(&subscription.id) {
                    Some(number) => *number,
                    None => {
                        let id = &subscription.id;
                        let begun =
                            async |tx: &mut BillingTx| Ok::<_, ApiError>(states::begin_fetch(tx, id, now).await?);
                        self.db.billing(begun).await?
                    }
                };
                let differs = self
                    .db
                    .billing(async |tx| {
                        let differs = states::apply_fetched(tx, subscription, &prices, number, now).await?;
                        if differs && let Some(user) = states::owner(tx, &subscription.id).await? {
                            states::choose(tx, &user).await?;
                        }
                        Ok::<_, ApiError>(differs)
                    })
                    .await?;
                if differs {
                    report.repaired.push(subscription.id.clone());
                }
            }
            match listed.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        numbers.retain(|id, _| !seen.contains(id));
        let ids: Vec<_> = numbers.into_keys().collect();
        report.missing = self.db.billing(async |tx| Ok::<_, ApiError>(states::living(tx, &ids).await?)).await?;
        Ok(())
    }

    async fn project_all(&self, now: DateTime<Utc>, report: &mut Report) -> Result<(), ApiError> {
        let mut after = String::new();
        loop {
            let users = self.db.billing(async |tx| Ok::<_, ApiError>(users(tx, &after, PAGE).await?)).await?;
            let Some(last) = users.last() else { return Ok(()) };
            after.clone_from(last);
            for user in users {
                if self.project(&user, now).await? == Projected::Changed {
                    report.projections_repaired += 1;
                }
            }
        }
    }
}

async fn users(tx: &mut BillingTx, after: &str, most: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        select user_id from billing.subscriptions
        where user_id collate "C" > $1 order by user_id collate "C" limit $2
        "#,
        after,
        most
    )
    .fetch_all(tx)
    .await
}
