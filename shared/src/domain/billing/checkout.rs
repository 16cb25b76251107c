//! Permission to buy a plan, and the table `checkout_sessions`: a tenant's Checkout Sessions at Stripe.
//!
//! A user has at most one live subscription. The state of the last one decides whether another one may be bought, and
//! an open session is expired before a new one is created.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::view::SubscriptionView;
use crate::{
    db::{SystemTx, TenantTx},
    error::ApiError,
    stripe::{CheckoutSession, CheckoutSessionState},
};

/// Route that opens the Billing Portal, named by the errors that lead there.
pub const PORTAL_PATH: &str = "/api/v1/billing/portal";

/// Answer to whether a user may buy a plan, by the state that is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purchasability {
    /// The user may buy: there is no subscription, or it has ended.
    Free,
    /// The subscription gives no access any more, but its end is not stored here. Stripe must be asked.
    Unclear,
}

impl SubscriptionView {
    /// Decides by the subscription's state whether another one may be bought. `is_pro` is true while the subscription
    /// gives access.
    ///
    /// # Errors
    /// Returns 409 while there is a subscription that Stripe collects, or may collect again. The error leads to the
    /// portal.
    pub fn ensure_purchasable(&self, is_pro: bool) -> Result<Purchasability, ApiError> {
        let reason = match self.status.as_str() {
            "past_due" => "its last payment failed, and Stripe tries it again",
            "unpaid" => "its last payments failed",
            "incomplete" => "its first payment is not done",
            "paused" => "it is paused",
            "unknown" => "Stripe has it in a state that is not known here",
            _ if is_pro => return Err(self.already_subscribed()),
            "trialing" | "active" => return Ok(Purchasability::Unclear),
            _ => return Ok(Purchasability::Free),
        };
        let message = format!(
            "there is a subscription already, and {reason}: pay, resume or cancel it in the portal \
             (POST {PORTAL_PATH}) instead of buying another one"
        );
        Err(ApiError::conflict("subscription_open", message).with_details(self.portal_details()))
    }

    /// The error of a user who has a subscription that runs.
    #[must_use]
    pub fn already_subscribed(&self) -> ApiError {
        let message = format!("there is a subscription already: change its plan in the portal (POST {PORTAL_PATH})");
        ApiError::conflict("already_subscribed", message).with_details(self.portal_details())
    }

    /// The error of a user who has paid a checkout whose subscription is not projected yet.
    #[must_use]
    pub fn checkout_completed(&self) -> ApiError {
        let message = "a checkout was paid a moment ago: the plan is in force as soon as Stripe reports the payment";
        ApiError::conflict("checkout_completed", message).with_details(self.portal_details())
    }

    /// The details of an error that leads to the portal.
    fn portal_details(&self) -> serde_json::Value {
        json!({ "status": self.status, "portal": PORTAL_PATH, "can_open_portal": self.customer.is_some() })
    }
}

/// Lists the tenant's sessions that can still be paid as far as is known, the oldest first.
///
/// # Errors
/// Returns the database's error.
pub async fn list_open_sessions(tx: &mut TenantTx) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        select id from checkout_sessions
        where customer_id = $1 and status in ('open', 'superseded') and expires_at > now()
        order by created_at, id
        "#,
        tx.tenant()
    )
    .fetch_all(tx)
    .await
}

/// Stores a new session as the tenant's open one, in place of any other. The others are superseded, and
/// [`list_open_sessions`] lists them until they are marked as ended.
///
/// # Errors
/// Returns the database's error.
pub async fn record_session(tx: &mut TenantTx, session: &CheckoutSession, plan: &str) -> sqlx::Result<()> {
    // One at a time a tenant: of two checkouts at once, the one that is stored later supersedes the other.
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 21))", tx.tenant())
        .execute(&mut *tx)
        .await?;
    sqlx::query!(
        "delete from checkout_sessions where customer_id = $1 and expires_at < now() - interval '30 days'",
        tx.tenant()
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "update checkout_sessions set status = 'superseded' where customer_id = $1 and status = 'open' and id <> $2",
        tx.tenant(),
        session.id
    )
    .execute(&mut *tx)
    .await?;
    insert_session(tx, &session.id, plan, session.expires_at).await
}

/// Returns true when the session was opened for this user by us.
pub(super) async fn is_session_of(tx: &mut SystemTx, session: &str, user: &str) -> sqlx::Result<bool> {
    let Ok(user) = Uuid::try_parse(user) else { return Ok(false) };
    sqlx::query_scalar!(
        r#"
        select exists (
            select from checkout_sessions session join customers tenant on tenant.id = session.customer_id
            where session.id = $1 and tenant.user_id = $2
        ) as "is_ours!"
        "#,
        session,
        user
    )
    .fetch_one(tx)
    .await
}

async fn insert_session(tx: &mut TenantTx, id: &str, plan: &str, expires_at: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into checkout_sessions (id, customer_id, plan, expires_at) values ($1, $2, $3, $4)
        on conflict on constraint checkout_sessions_pkey do update
        set status = 'open', plan = excluded.plan, expires_at = excluded.expires_at
        "#,
        id,
        tx.tenant(),
        plan,
        expires_at
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Stores the state of a session that Stripe told. An open session stays as it is.
///
/// # Errors
/// Returns the database's error.
pub async fn mark_session(tx: &mut TenantTx, id: &str, state: &CheckoutSessionState) -> sqlx::Result<()> {
    let status = match state {
        CheckoutSessionState::Open => return Ok(()),
        CheckoutSessionState::Expired => "expired",
        CheckoutSessionState::Complete(_) => "complete",
    };
    sqlx::query!("update checkout_sessions set status = $3 where customer_id = $1 and id = $2", tx.tenant(), id, status)
        .execute(tx)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(status: &str) -> SubscriptionView {
        SubscriptionView {
            email: "a@example.com".to_owned(),
            customer: Some("cus_1".to_owned()),
            status: status.to_owned(),
            period_start: None,
            period_end: None,
            cancel_at_period_end: false,
            cancel_at: None,
        }
    }

    #[test]
    fn only_a_subscription_that_is_over_lets_another_one_be_bought() {
        for (status, is_pro, expected) in [
            ("free", false, Ok(Purchasability::Free)),
            ("cancelled", false, Ok(Purchasability::Free)),
            ("expired", false, Ok(Purchasability::Free)),
            ("active", false, Ok(Purchasability::Unclear)),
            ("trialing", false, Ok(Purchasability::Unclear)),
            ("active", true, Err("already_subscribed")),
            ("trialing", true, Err("already_subscribed")),
            ("past_due", true, Err("subscription_open")),
            ("past_due", false, Err("subscription_open")),
            ("unpaid", false, Err("subscription_open")),
            ("paused", false, Err("subscription_open")),
            ("incomplete", false, Err("subscription_open")),
            ("unknown", false, Err("subscription_open")),
        ] {
            let decided = view(status).ensure_purchasable(is_pro).map_err(|error| error.code);
            assert_eq!(decided, expected, "{status} {is_pro}");
        }
        let refused = view("unpaid").ensure_purchasable(false).unwrap_err();
        assert!(refused.message.contains(PORTAL_PATH), "{}", refused.message);
        let details = json!({ "status": "unpaid", "portal": PORTAL_PATH, "can_open_portal": true });
        assert_eq!(refused.details, Some(details));
    }
}
