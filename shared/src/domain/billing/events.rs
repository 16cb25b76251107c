//! The steps of an event of Stripe: ledger, application, projection.

use chrono::{DateTime, Utc};

use super::{
    checkout, ledger, overages,
    processor::Billing,
    projection::ProjectionOutcome,
    reversals::Reversal,
    states::{self, PlanPrices},
};
use crate::{
    error::ApiError,
    logging,
    stripe::{Event, EventKind, StripeClient, Subscription},
};

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
    /// Stores an event in the ledger, applies and projects it. A repeated call resumes at the first step that is not
    /// done, and changes nothing once all steps are done.
    ///
    /// # Errors
    /// Returns 503 or 500 for a failure that Stripe's next delivery may overcome.
    pub async fn receive(&self, event: &Event, now: DateTime<Utc>) -> Result<BillingEventOutcome, ApiError> {
        let progress = self.db.billing_tx(async |tx| Ok(ledger::insert(tx, event).await?)).await?;
        if progress.is_projected {
            return Ok(BillingEventOutcome::Repeated);
        }
        self.process_event(event, progress.is_applied, now).await
    }

    /// Runs the steps that an event of the ledger has not passed yet.
    pub(super) async fn process_event(
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
                self.db.billing_tx(async |tx| Ok(ledger::record_error(tx, &event.id, &reason).await?)).await?;
                return Ok(BillingEventOutcome::Unreadable);
            }
        };
        if let Some(reversal) = Reversal::read(event) {
            self.process_reversal(event, &reversal).await?;
            return Ok(BillingEventOutcome::Done);
        }
        let outcome = match kind {
            EventKind::NoEffect => BillingEventOutcome::Noted,
            EventKind::Unhandled => BillingEventOutcome::Unknown,
            _ => BillingEventOutcome::Done,
        };
        let (users, unknown_price) = if is_applied {
            (self.db.billing_tx(async |tx| Ok(states::affected_users(tx, &kind).await?)).await?, None)
        } else {
            self.apply(event, &kind).await?
        };
        if let Some(price) = unknown_price.filter(|_| !users.is_empty()) {
            report_unknown_price(&price);
        }
        self.project_affected(&kind, &users, now).await?;
        if let EventKind::Invoice(invoice) = &kind
            && self.is_trusted(event)
        {
            self.app.system_tx(async |tx| Ok(overages::record_invoice_payment(tx, invoice, &users).await?)).await?;
        }
        self.db.billing_tx(async |tx| Ok(ledger::mark_projected(tx, &event.id).await?)).await?;
        Ok(outcome)
    }

    /// Projects the users whom an event concerns, looks for subscriptions that they paid twice, and reports a paid
    /// subscription that is nobody's.
    async fn project_affected(&self, kind: &EventKind, users: &[String], now: DateTime<Utc>) -> Result<(), ApiError> {
        let mut unknown_user = None;
        for user in users {
            if self.project(user, now).await? == ProjectionOutcome::UserUnknown {
                unknown_user = Some(user.as_str());
            }
            self.find_duplicates(user, now).await?;
        }
        match subscription_of(kind) {
            Some(subscription) if users.is_empty() || unknown_user.is_some() => {
                self.report_unassigned(subscription, unknown_user).await
            }
            _ => Ok(()),
        }
    }

    /// True unless the event is of Stripe's test mode and the client's key is of the live mode: it grants nothing then.
    fn is_trusted(&self, event: &Event) -> bool {
        event.is_live() || self.stripe.as_ref().is_none_or(|stripe| !stripe.is_live())
    }

    /// Applies an event. Without a Stripe client, the event's own object is applied. With one, the subscription's
    /// present state is fetched and applied instead, unless Stripe does not know the subscription. Returns the users whom
    /// the event concerns, and the price of a live subscription at prices that belong to no plan.
    async fn apply(&self, event: &Event, kind: &EventKind) -> Result<(Vec<String>, Option<String>), ApiError> {
        let snapshot = match (&self.stripe, subscription_of(kind)) {
            (Some(stripe), Some(id)) => self.fetch_snapshot(stripe, id, event.created).await?,
            _ => None,
        };
        let is_trusted = self.is_trusted(event);
        let event_object = match kind {
            EventKind::Subscription(subscription) if is_trusted => Some(subscription.as_ref()),
            _ => None,
        };
        let needs_prices = snapshot.is_some() || event_object.is_some();
        let prices = if needs_prices { self.prices().await? } else { PlanPrices::default() };
        let applied = snapshot.as_ref().map(|(_, subscription)| subscription).or(event_object);
        let unknown_price = applied.and_then(|subscription| prices.unknown_price(subscription)).map(str::to_owned);
        let buyer = buyer_of(kind).filter(|_| is_trusted);
        let is_ours = match (kind, buyer) {
            (EventKind::Checkout { session: Some(session), .. }, Some((_, user))) => {
                self.app.system_tx(async |tx| Ok(checkout::is_session_of(tx, session, user).await?)).await?
            }
            _ => false,
        };
        let users = self
            .db
            .billing_tx(async |tx| {
                if let Some((customer, user)) = buyer
                    && !states::link_buyer(tx, customer, user, is_ours).await?
                {
                    tracing::warn!(
                        event_id = event.id,
                        "a checkout that we did not open names a user who has a customer"
                    );
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
                let users = states::affected_users(tx, kind).await?;
                for user in &users {
                    states::choose_current(tx, user).await?;
                }
                ledger::mark_applied(tx, &event.id).await?;
                Ok(users)
            })
            .await?;
        Ok((users, unknown_price))
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
        let number = self.db.billing_tx(async |tx| Ok(states::begin_fetch(tx, id, event_at).await?)).await?;
        match stripe.get_subscription(id).await {
            Ok(subscription) => Ok(Some((number, subscription))),
            Err(error) if error.is_missing() => {
                tracing::warn!(error = logging::chain(&error), "an event is about a subscription that is not there");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Tells operators that somebody pays a price that belongs to no plan, and so gets nothing for it.
pub(super) fn report_unknown_price(price: &str) {
    logging::metric("SubscriptionPricesUnknown", 1.0);
    tracing::error!(price, "a subscription is paid at a price that belongs to no plan");
}

/// The customer and the user that a paid checkout names.
fn buyer_of(kind: &EventKind) -> Option<(&str, &str)> {
    match kind {
        EventKind::Checkout { customer, user, .. } => customer.as_deref().zip(user.as_deref()),
        _ => None,
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
