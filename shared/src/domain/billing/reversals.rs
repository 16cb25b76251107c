//! Payments that are taken back: disputes and refunds. Each becomes an activity and an audit entry of the owner, once.

use serde_json::{Value, json};

use super::{duplicates::Notice, ledger, processor::Billing};
use crate::{
    activities::ActivityStatus,
    db::BillingTx,
    error::ApiError,
    logging,
    stripe::{Charge, Event},
};

/// An event about a dispute or a refund.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reversal {
    kind: ReversalKind,
    /// Id of the dispute, the refund or the charge.
    id: String,
    /// Status at Stripe.
    status: String,
    /// Amount in minor units of the currency.
    amount: i64,
    currency: String,
    /// Id of the charge (`ch_…`).
    charge: Option<String>,
    /// The charge itself, where the event holds it.
    known_charge: Option<Charge>,
}

/// Kind of event that takes a payment back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReversalKind {
    Dispute,
    /// The whole charge, with the sum of its refunds.
    RefundedCharge,
    Refund,
}

impl Reversal {
    /// Parses an event; `None` for any other event, and for an object without an id.
    pub(super) fn read(event: &Event) -> Option<Self> {
        let kind = match event.kind.as_str() {
            "charge.dispute.created"
            | "charge.dispute.updated"
            | "charge.dispute.closed"
            | "charge.dispute.funds_withdrawn"
            | "charge.dispute.funds_reinstated" => ReversalKind::Dispute,
            "charge.refunded" => ReversalKind::RefundedCharge,
            "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => ReversalKind::Refund,
            _ => return None,
        };
        let object = &event.payload["data"]["object"];
        let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
        let charge = if kind == ReversalKind::RefundedCharge { object } else { &object["charge"] };
        let known_charge = Charge::read(charge);
        let amount = if kind == ReversalKind::RefundedCharge { &object["amount_refunded"] } else { &object["amount"] };
        Some(Self {
            kind,
            id: object["id"].as_str().filter(|id| !id.is_empty())?.to_owned(),
            status: if event.kind == "refund.failed" { "failed".to_owned() } else { text("status") },
            amount: amount.as_i64().unwrap_or_default(),
            currency: text("currency").to_uppercase(),
            charge: charge.as_str().map(str::to_owned).or_else(|| known_charge.as_ref().map(|known| known.id.clone())),
            known_charge,
        })
    }

    fn is_failed_refund(&self) -> bool {
        self.kind == ReversalKind::Refund && matches!(self.status.as_str(), "failed" | "canceled")
    }

    /// Message to the owner about the reversal. Stripe reports one refund by several events with the same charge and sum
    /// of refunds, and only the first of them is told.
    fn notice(&self, charge: Option<&Charge>) -> Notice {
        let (kind, title, status) = match (self.kind, self.status.as_str()) {
            (ReversalKind::Dispute, "won" | "warning_closed" | "prevented") => {
                ("payment_dispute_closed", "A disputed payment stays", ActivityStatus::Success)
            }
            (ReversalKind::Dispute, "lost") => {
                ("payment_dispute_closed", "A disputed payment was taken back", ActivityStatus::Error)
            }
            (ReversalKind::Dispute, _) => ("payment_disputed", "A payment is disputed", ActivityStatus::Warning),
            _ if self.is_failed_refund() => {
                ("payment_refund_failed", "A refund of a payment failed", ActivityStatus::Warning)
            }
            _ => ("payment_refunded", "A payment was refunded", ActivityStatus::Info),
        };
        let key = match self.kind {
            ReversalKind::Dispute => format!("dispute:{}:{}", self.id, self.status),
            _ if self.is_failed_refund() => format!("refund-failed:{}", self.id),
            _ => match charge {
                Some(charge) => format!("refund:{}:{}", charge.id, charge.amount_refunded),
                None => format!("refund:{}", self.id),
            },
        };
        let action = match kind {
            "payment_refunded" => "payment.refunded",
            "payment_refund_failed" => "payment.refund_failed",
            "payment_disputed" => "payment.disputed",
            _ => "payment.dispute_closed",
        };
        Notice { key, kind, title, status, action }
    }

    fn details(&self) -> Value {
        json!({
            "id": self.id, "charge": self.charge, "status": self.status, "amount_cents": self.amount,
            "currency": self.currency,
        })
    }
}

impl Billing {
    /// Notifies the owner of a payment that was taken back, and marks the event as done.
    ///
    /// # Errors
    /// Returns 503 or 500 for a failure that Stripe's next delivery may overcome.
    pub(super) async fn process_reversal(&self, event: &Event, reversal: &Reversal) -> Result<(), ApiError> {
        self.db.billing_tx(async |tx| Ok(ledger::mark_applied(tx, &event.id).await?)).await?;
        // An event of Stripe's test mode tells nothing when the client's key is of the live mode.
        if event.is_live() || self.stripe.as_ref().is_none_or(|stripe| !stripe.is_live()) {
            let charge = self.charge_of(reversal).await?;
            let customer = charge.as_ref().and_then(|charge| charge.customer.as_deref());
            let user = self.db.billing_tx(async |tx| Ok(find_user(tx, customer).await?)).await?;
            let is_told = match user {
                Some(user) => self.tell(&user, &reversal.notice(charge.as_ref()), reversal.details()).await?,
                None => false,
            };
            if !is_told {
                logging::metric("PaymentReversalsWithoutOwner", 1.0);
                tracing::warn!(event_id = event.id, kind = event.kind, "a payment was taken back, and nobody's is it");
            }
        }
        self.db.billing_tx(async |tx| Ok(ledger::mark_projected(tx, &event.id).await?)).await
    }

    /// The charge that a reversal is of: from the event, or else from Stripe. Disputes and refunds name only its id.
    async fn charge_of(&self, reversal: &Reversal) -> Result<Option<Charge>, ApiError> {
        if let Some(known) = &reversal.known_charge {
            return Ok(Some(known.clone()));
        }
        match (&self.stripe, &reversal.charge) {
            (Some(stripe), Some(charge)) => Ok(stripe.find_charge(charge).await?),
            _ => Ok(None),
        }
    }
}

/// Finds the user of a customer.
async fn find_user(tx: &mut BillingTx, customer: Option<&str>) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("select user_id from billing.stripe_customers where id = $1", customer).fetch_optional(tx).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, object: Value) -> Event {
        let payload = json!({ "id": "evt_1", "type": kind, "created": 1_795_900_000, "data": { "object": object } });
        Event::from_payload(payload).unwrap()
    }

    #[test]
    fn one_refund_has_one_key_whatever_event_reports_it() {
        let charge = json!({ "id": "ch_1", "customer": "cus_1", "amount_refunded": 500, "currency": "eur" });
        let whole = Reversal::read(&event("charge.refunded", charge.clone())).unwrap();
        let refund = json!({ "id": "re_1", "charge": "ch_1", "amount": 500, "status": "succeeded" });
        let part = Reversal::read(&event("refund.created", refund)).unwrap();
        let charge = Charge::read(&charge).unwrap();
        assert_eq!(whole.known_charge, Some(charge.clone()));
        assert_eq!((part.known_charge.as_ref(), part.charge.as_deref()), (None, Some("ch_1")));
        assert_eq!(whole.notice(Some(&charge)).key, "refund:ch_1:500");
        assert_eq!(part.notice(Some(&charge)).key, "refund:ch_1:500");
        let failed = json!({ "id": "re_1", "charge": "ch_1", "amount": 500, "status": "failed" });
        let failed = Reversal::read(&event("refund.updated", failed)).unwrap();
        let notice = failed.notice(Some(&charge));
        assert_eq!((notice.key.as_str(), notice.kind), ("refund-failed:re_1", "payment_refund_failed"));
    }

    #[test]
    fn a_dispute_is_told_once_for_each_of_its_states() {
        for (kind, status, told) in [
            ("charge.dispute.created", "needs_response", "payment_disputed"),
            ("charge.dispute.funds_withdrawn", "needs_response", "payment_disputed"),
            ("charge.dispute.closed", "lost", "payment_dispute_closed"),
            ("charge.dispute.closed", "won", "payment_dispute_closed"),
        ] {
            let dispute = json!({ "id": "dp_1", "charge": "ch_1", "amount": 2900, "status": status });
            let notice = Reversal::read(&event(kind, dispute)).unwrap().notice(None);
            assert_eq!((notice.kind, notice.key), (told, format!("dispute:dp_1:{status}")), "{kind}");
        }
        assert_eq!(Reversal::read(&event("charge.succeeded", json!({ "id": "ch_1" }))), None);
        assert_eq!(Reversal::read(&event("charge.refunded", json!({}))), None);
    }
}
