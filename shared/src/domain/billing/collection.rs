//! The collection of a closed company's subscription: paused at Stripe while the company is suspended, and resumed
//! afterwards; cancelled when the company is deleted.
//!
//! A job of the kind `collection` brings Stripe to the state that `customers.suspended_at` and `deleted_at` have when the job
//! runs. A worker whose call ends after a later change finds the job changed, and makes it due again. So the last state wins, in
//! whatever order the calls reach Stripe.

use std::time::Duration;

use uuid::Uuid;

use super::processor::Billing;
use crate::{
    db::{BillingTx, SystemTx},
    error::ApiError,
    jobs::{self, DueJob},
    logging,
    stripe::{CollectionState, StripeClient, SubscriptionStatus},
};

/// Time for which a caller waits for Stripe. A company may have several subscriptions.
const CALLER_TIMEOUT: Duration = Duration::from_secs(12);

impl Billing {
    /// Runs the company's job of the kind `collection` now, when it is due. What fails is left to maintenance, and logged.
    pub async fn run_due_collection(&self, tenant: Uuid) {
        let run = async {
            let claimed = self.app.system_tx(async |tx| Ok(jobs::claim_collection(tx, tenant).await?)).await?;
            match claimed {
                Some(job) => self.run_collection_job(&job).await,
                None => Ok(()),
            }
        };
        let outcome = tokio::time::timeout(CALLER_TIMEOUT, run).await;
        if let Err(error) = outcome.unwrap_or_else(|elapsed| Err(ApiError::unavailable().with_source(elapsed))) {
            let error = logging::chain(&error);
            tracing::warn!(%tenant, error, "the collection of a subscription is left to maintenance");
        }
    }

    /// Runs a job of the kind `collection`.
    ///
    /// # Errors
    /// Returns an error that a later attempt may overcome.
    pub async fn run_collection_job(&self, job: &DueJob) -> Result<(), ApiError> {
        let wanted = self.app.system_tx(async |tx| Ok(find_wanted(tx, job.customer_id).await?)).await?;
        if let Some(wanted) = wanted {
            let user = wanted.user.to_string();
            let open = self.db.billing_tx(async |tx| Ok(open_subscriptions(tx, &user).await?)).await?;
            for subscription in &open {
                self.set_collection(subscription, wanted.state, job).await?;
            }
        }
        self.app.system_tx(async |tx| Ok(jobs::end_collection(tx, job).await?)).await
    }

    async fn set_collection(&self, id: &str, state: WantedState, job: &DueJob) -> Result<(), ApiError> {
        let Some(stripe) = &self.stripe else {
            return Err(ApiError::unavailable().with_source("the collection waits for STRIPE_SECRET_KEY"));
        };
        match state {
            WantedState::Collection(state) => call(stripe, id, state, job).await,
            // Repeatable: a second call finds the subscription cancelled. Stripe's event brings the new state to the
            // database.
            WantedState::Cancelled => Ok(stripe.cancel_subscription(id).await.map(drop)?),
        }
    }
}

/// Sets the collection of a subscription. One that is gone at Stripe collects nothing.
async fn call(stripe: &StripeClient, id: &str, state: CollectionState, job: &DueJob) -> Result<(), ApiError> {
    // Each attempt has a key of its own: for an older key, Stripe repeats its answer and changes nothing, although a call
    // for the other state may have come in between.
    let key = format!("collection-{}-{}-{id}", job.payload["change"].as_str().unwrap_or_default(), job.attempts);
    match stripe.set_collection(id, state, &key).await {
        Ok(()) => Ok(()),
        Err(error) if error.is_missing() => Ok(()),
        // Stripe refuses a change of a subscription that has ended. Stripe's event says so later.
        Err(error) if error.is_final() && has_ended(stripe, id).await? => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn has_ended(stripe: &StripeClient, id: &str) -> Result<bool, ApiError> {
    let subscription = stripe.get_subscription(id).await?;
    Ok(matches!(subscription.status, SubscriptionStatus::Canceled | SubscriptionStatus::IncompleteExpired))
}

/// The state that a company's subscription should have.
#[derive(Debug, Clone, Copy)]
enum WantedState {
    Collection(CollectionState),
    Cancelled,
}

/// The state that the collection of a company's subscription should have.
struct WantedCollection {
    /// The owner, who pays.
    user: Uuid,
    state: WantedState,
}

async fn find_wanted(tx: &mut SystemTx, tenant: Uuid) -> sqlx::Result<Option<WantedCollection>> {
    let row = sqlx::query!(
        r#"
        select user_id, suspended_at is not null as "is_suspended!", deleted_at is not null as "is_deleted!"
        from customers where id = $1
        "#,
        tenant
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| WantedCollection {
        user: row.user_id,
        state: match (row.is_deleted, row.is_suspended) {
            (true, _) => WantedState::Cancelled,
            (false, true) => WantedState::Collection(CollectionState::Paused),
            (false, false) => WantedState::Collection(CollectionState::Active),
        },
    }))
}

/// Returns the ids of a user's subscriptions at Stripe that have not ended.
async fn open_subscriptions(tx: &mut BillingTx, user: &str) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        select id from billing.subscription_states
        where user_id = $1 and not is_imported
          and status in ('trialing', 'active', 'past_due', 'unpaid', 'paused', 'incomplete')
        order by id
        "#,
        user
    )
    .fetch_all(tx)
    .await
}
