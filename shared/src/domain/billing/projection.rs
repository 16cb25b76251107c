//! The projection of `billing.subscriptions` onto the app's schema: `users.is_pro`, `profiles`, `customers.plan_id`,
//! the period's row of `usage_periods`, and the audit log. An older version never overwrites a newer one.

mod due;
mod entitlement;
mod write;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::processor::Billing;
use crate::{error::ApiError, logging};

use due::{existing_users, mark_projected, users_to_project, users_with_expired_access};
pub use entitlement::Entitlement;
pub(super) use entitlement::find_entitlement;
pub use write::ProjectionOutcome;
use write::write_projection;

/// Failed projections after which a run over many users stops.
const MAX_FAILURES: usize = 5;

impl Billing {
    /// Projects a user's subscription onto the app's schema.
    ///
    /// # Errors
    /// Returns the error of either database.
    pub async fn project(&self, user: &str, now: DateTime<Utc>) -> Result<ProjectionOutcome, ApiError> {
        let entitlement = self.db.billing_tx(async |tx| Ok(find_entitlement(tx, user).await?)).await?;
        let Some(entitlement) = entitlement else { return Ok(ProjectionOutcome::Unchanged) };
        // A user id that is not a UUID is of an older system; no user has it here.
        let Ok(id) = Uuid::try_parse(user) else { return Ok(ProjectionOutcome::UserUnknown) };
        let access = entitlement.access(self.grace);
        let projected =
            self.app.system_tx(async |tx| Ok(write_projection(tx, id, &entitlement, access, now).await?)).await?;
        if projected != ProjectionOutcome::UserUnknown {
            self.db.billing_tx(async |tx| Ok(mark_projected(tx, user, entitlement.version).await?)).await?;
        }
        Ok(projected)
    }

    /// Projects the subscriptions of users who signed in after their subscription was imported or bought. Returns
    /// their number.
    ///
    /// # Errors
    /// Returns the error of either database.
    pub async fn project_pending(&self, now: DateTime<Utc>) -> Result<u64, ApiError> {
        /// Users per transaction.
        const PAGE_SIZE: i64 = 1_000;
        let (mut after, mut projected, mut failures) = (String::new(), 0, 0);
        loop {
            let pending = self.db.billing_tx(async |tx| Ok(users_to_project(tx, &after, PAGE_SIZE).await?)).await?;
            let Some(last) = pending.last() else { return Ok(projected) };
            after.clone_from(last);
            let ids: Vec<_> = pending.iter().filter_map(|user| Uuid::try_parse(user).ok()).collect();
            let existing = self.app.system_tx(async |tx| Ok(existing_users(tx, &ids).await?)).await?;
            for user in existing {
                if self.project_or_log(user, now, &mut failures).await?.is_some() {
                    projected += 1;
                }
            }
        }
    }

    /// Ends the access of users whose access has expired, at most `limit` of them. Returns the number of users who
    /// lost access.
    ///
    /// # Errors
    /// Returns the error of either database.
    pub async fn end_expired_access(&self, now: DateTime<Utc>, limit: i64) -> Result<u64, ApiError> {
        let expired = self.app.system_tx(async |tx| Ok(users_with_expired_access(tx, now, limit).await?)).await?;
        let (mut ended, mut failures) = (0, 0);
        for user in expired {
            if self.project_or_log(user, now, &mut failures).await? == Some(ProjectionOutcome::Changed) {
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// Projects the subscription of one of many users. One whose projection fails does not hold up the others: the
    /// failure is logged and counted in `failures`, and the result is `None`.
    ///
    /// # Errors
    /// Returns the error after [`MAX_FAILURES`] failures: a database is likely to be unavailable.
    async fn project_or_log(
        &self,
        user: Uuid,
        now: DateTime<Utc>,
        failures: &mut usize,
    ) -> Result<Option<ProjectionOutcome>, ApiError> {
        match self.project(&user.to_string(), now).await {
            Ok(outcome) => Ok(Some(outcome)),
            Err(error) => {
                logging::metric("ProjectionsFailed", 1.0);
                tracing::error!(%user, error = logging::chain(&error), "a subscription is not projected");
                *failures += 1;
                if *failures < MAX_FAILURES { Ok(None) } else { Err(error) }
            }
        }
    }
}
