//! The nightly reconcile: finishes the ledger's unfinished events, compares every subscription with Stripe's, and
//! compares every projection with its subscription. Differences are repaired and logged. Its progress is stored page by
//! page, so that the next run goes on where one stopped.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{
    events::{self, BillingEventOutcome},
    ledger,
    processor::Billing,
    projection::ProjectionOutcome,
    states::{self, PlanPrices},
};
use crate::{
    db::BillingTx,
    error::ApiError,
    logging,
    stripe::{Event, StripeClient, Subscription},
    task_progress,
};

/// Rows per transaction.
const PAGE_SIZE: i64 = 500;
/// Name of the reconcile in `task_progress`.
const TASK: &str = "reconcile";
/// Time of one run, below the function's timeout of 240 s.
const MAX_RECONCILE_TIME: Duration = Duration::from_secs(150);
/// Age of the stored progress from which another run goes on: the function's timeout. A younger one may belong to a run
/// that is at work, since maintenance has two instances.
const MIN_PROGRESS_AGE: Duration = Duration::from_secs(240);
/// Age at which a reconcile that did not end is given up. The next night begins a new one.
const MAX_RECONCILE_AGE: TimeDelta = TimeDelta::hours(20);

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

/// Progress of one part of the reconcile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PartProgress {
    /// The rows after this id are left to do; all rows when it is `None`.
    After(Option<String>),
    Done,
}

/// Progress of a reconcile, stored in `task_progress`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Progress {
    /// Time of the start by the clock of billing's database. Stripe's list is compared with what was known then.
    compared_since: DateTime<Utc>,
    events: PartProgress,
    subscriptions: PartProgress,
    projections: PartProgress,
}

impl Progress {
    fn is_done(&self) -> bool {
        [&self.events, &self.subscriptions, &self.projections].into_iter().all(|part| *part == PartProgress::Done)
    }
}

/// One run of the reconcile.
#[derive(Debug)]
struct ReconcileRun {
    now: DateTime<Utc>,
    /// Time at which the run stops between two pages.
    stops_at: Instant,
    progress: Progress,
    report: ReconcileReport,
}

impl ReconcileRun {
    fn is_out_of_time(&self) -> bool {
        Instant::now() >= self.stops_at
    }
}

impl Billing {
    /// Runs the three parts of the reconcile: from the start, or from where an earlier run stopped. A failed part does
    /// not keep the others from running. A run that is out of time, failed or was killed is continued by
    /// [`Billing::continue_reconcile`].
    ///
    /// # Errors
    /// Returns the error of the first part that failed, after all parts have run.
    pub async fn reconcile(&self, now: DateTime<Utc>) -> Result<ReconcileReport, ApiError> {
        let progress = match self.unfinished_reconcile(now, Duration::ZERO).await? {
            Some(progress) => progress,
            None => {
                let since = sqlx::query_scalar!(r#"select now() as "now!""#);
                let compared_since = self.db.billing_tx(async |tx| Ok(since.fetch_one(tx).await?)).await?;
                let start = PartProgress::After(None);
                let (events, subscriptions) = (start.clone(), start.clone());
                Progress { compared_since, events, subscriptions, projections: start }
            }
        };
        self.run_reconcile(progress, now).await
    }

    /// Goes on with a reconcile that did not come to its end; does nothing when there is none, or
    /// when its progress was saved less than `MIN_PROGRESS_AGE` ago.
    ///
    /// # Errors
    /// Returns the errors of [`Billing::reconcile`].
    pub async fn continue_reconcile(&self, now: DateTime<Utc>) -> Result<Option<ReconcileReport>, ApiError> {
        match self.unfinished_reconcile(now, MIN_PROGRESS_AGE).await? {
            Some(progress) => self.run_reconcile(progress, now).await.map(Some),
            None => Ok(None),
        }
    }

    /// Finds the progress of a reconcile that did not end and was saved at least `min_age` ago. One that began longer
    /// than [`MAX_RECONCILE_AGE`] ago is given up.
    async fn unfinished_reconcile(&self, now: DateTime<Utc>, min_age: Duration) -> Result<Option<Progress>, ApiError> {
        let found =
            self.app.system_tx(async |tx| Ok(task_progress::find::<Progress>(tx, TASK, min_age).await?)).await?;
        let Some(found) = found else { return Ok(None) };
        if now - found.started_at < MAX_RECONCILE_AGE {
            return Ok(Some(found.position));
        }
        tracing::warn!("a reconcile that did not end is given up");
        self.app.system_tx(async |tx| Ok(task_progress::clear(tx, TASK).await?)).await?;
        Ok(None)
    }

    async fn run_reconcile(&self, mut progress: Progress, now: DateTime<Utc>) -> Result<ReconcileReport, ApiError> {
        if progress.subscriptions != PartProgress::Done {
            // What the comparison changes is projected after it.
            progress.projections = PartProgress::After(None);
        }
        // Tells other runs that this one is at work.
        self.save_progress(&progress).await?;
        let report = ReconcileReport::default();
        let mut run = ReconcileRun { now, stops_at: Instant::now() + MAX_RECONCILE_TIME, progress, report };
        let finished = self.finish_events(&mut run).await;
        let compared = match &self.stripe {
            Some(stripe) => self.compare(stripe, &mut run).await,
            None => {
                run.progress.subscriptions = PartProgress::Done;
                Ok(())
            }
        };
        let projected = self.project_all(&mut run).await;
        let duplicates = self.find_all_duplicates().await;
        let ReconcileRun { progress, report, .. } = run;
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
        let saved = if progress.is_done() {
            self.app.system_tx(async |tx| Ok(task_progress::clear(tx, TASK).await?)).await
        } else {
            self.save_progress(&progress).await
        };
        finished.and(compared).and(projected).and(duplicates).and(saved).map(|()| report)
    }

    async fn save_progress(&self, progress: &Progress) -> Result<(), ApiError> {
        self.app.system_tx(async |tx| Ok(task_progress::save(tx, TASK, progress).await?)).await
    }

    /// Processes the unfinished events of the ledger.
    async fn finish_events(&self, run: &mut ReconcileRun) -> Result<(), ApiError> {
        while let PartProgress::After(after) = &run.progress.events
            && !run.is_out_of_time()
        {
            let after = after.clone().unwrap_or_default();
            let unfinished =
                self.db.billing_tx(async |tx| Ok(ledger::list_unfinished(tx, &after, PAGE_SIZE).await?)).await?;
            let next = unfinished.last().map(|last| last.id.clone());
            for event in unfinished {
                let report = &mut run.report;
                let finished = match Event::from_payload(event.payload) {
                    Ok(parsed) => self.process_event(&parsed, event.is_applied, run.now).await,
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
            run.progress.events = next.map_or(PartProgress::Done, |last| PartProgress::After(Some(last)));
            self.save_progress(&run.progress).await?;
        }
        Ok(())
    }

    /// Compares every subscription with Stripe's list.
    async fn compare(&self, stripe: &StripeClient, run: &mut ReconcileRun) -> Result<(), ApiError> {
        let PartProgress::After(mut after) = run.progress.subscriptions.clone() else { return Ok(()) };
        // The fetches are numbered before Stripe is asked. A webhook's fetch that starts meanwhile has a higher
        // number, so its snapshot stays.
        let numbers = self.db.billing_tx(async |tx| Ok(states::begin_all_fetches(tx).await?)).await?;
        let prices = self.prices().await?;
        while !run.is_out_of_time() {
            let listed = stripe.list_subscriptions(after.as_deref()).await?;
            for subscription in &listed.subscriptions {
                run.report.subscriptions_checked += 1;
                let number = numbers.get(&subscription.id).copied();
                if self.compare_one(subscription, number, &prices, run.now).await? {
                    run.report.repaired.push(subscription.id.clone());
                }
            }
            after = listed.next_cursor;
            if after.is_none() {
                let since = run.progress.compared_since;
                let not_listed = async |tx: &mut BillingTx| Ok(states::list_not_compared_since(tx, since).await?);
                run.report.missing = self.db.billing_tx(not_listed).await?;
                run.progress.subscriptions = PartProgress::Done;
                return self.save_progress(&run.progress).await;
            }
            run.progress.subscriptions = PartProgress::After(after.clone());
            self.save_progress(&run.progress).await?;
        }
        Ok(())
    }

    /// Compares a subscription with Stripe's snapshot of the fetch `number`. Returns true when it differed.
    async fn compare_one(
        &self,
        snapshot: &Subscription,
        number: Option<i64>,
        prices: &PlanPrices,
        now: DateTime<Utc>,
    ) -> Result<bool, ApiError> {
        let number = match number {
            Some(number) => number,
            None => {
                let begin_fetch = async |tx: &mut BillingTx| Ok(states::begin_fetch(tx, &snapshot.id, now).await?);
                self.db.billing_tx(begin_fetch).await?
            }
        };
        let differs = self
            .db
            .billing_tx(async |tx| {
                let differs = states::apply_snapshot(tx, snapshot, prices, number, now).await?;
                // Also where nothing differs: what counts for the user may be of an earlier time. It is then a no-op.
                if let Some(user) = states::find_user(tx, &snapshot.id).await? {
                    states::choose_current(tx, &user).await?;
                }
                Ok(differs)
            })
            .await?;
        // Told every night, until somebody has stored the price or ended the subscription.
        if let Some(price) = prices.unknown_price(snapshot).filter(|_| snapshot.user.is_some()) {
            events::report_unknown_price(price);
        }
        Ok(differs)
    }

    /// Projects the subscription of every user. Begins when the comparison has ended or failed.
    async fn project_all(&self, run: &mut ReconcileRun) -> Result<(), ApiError> {
        while let PartProgress::After(after) = &run.progress.projections
            && !run.is_out_of_time()
        {
            let after = after.clone().unwrap_or_default();
            let users = self.db.billing_tx(async |tx| Ok(users(tx, &after, PAGE_SIZE).await?)).await?;
            let next = users.last().cloned();
            for user in users {
                match self.project(&user, run.now).await? {
                    ProjectionOutcome::Changed => run.report.projections_repaired += 1,
                    ProjectionOutcome::UserUnknown => self.forget_projection(&user).await?,
                    ProjectionOutcome::Unchanged => {}
                }
            }
            run.progress.projections = next.map_or(PartProgress::Done, |last| PartProgress::After(Some(last)));
            self.save_progress(&run.progress).await?;
        }
        Ok(())
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
