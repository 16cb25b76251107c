//! Delivery of a conversation's outbox, part by part. Nothing is generated here: a failed send is tried again with
//! the text as it was written.
//!
//! ManyChat has no idempotency key. When a worker dies after ManyChat accepted a part and before the part is marked
//! as sent, the next worker sends the part again: a part may be repeated, but none is lost.

use std::time::Duration;

use chrono::TimeDelta;
use shared::{
    activities::{self, Activity, ActivityStatus},
    conversations::{self, Lease, LeaseCheck, Responder},
    error::BoxError,
    manychat::{DeliveryFailure, SendError},
    outbox::{self, MAX_SEND_ATTEMPTS, NextPart, OutboxPart},
    quota,
    sealed::Secret,
    tenants,
};
use uuid::Uuid;

use crate::{Deps, RemainingWork};

/// Maximum delay between two attempts at one part.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(300);

/// The result of a look at the outbox under the lease.
enum OutboxCheck {
    Next(NextPart, LeaseCheck),
    Lost,
}

impl Deps {
    /// Sends parts until none is left or the next one must wait. Returns the work that remains.
    pub(crate) async fn send(&self, tenant: Uuid, lease: &Lease) -> Result<RemainingWork, BoxError> {
        let conversation = lease.conversation.id;
        loop {
            let outbox_check = self
                .db
                .tenant_tx(tenant, async |tx| {
                    // Checked again just before the send: a person may have taken over during the generation.
                    Ok(match conversations::lock_and_check(tx, lease).await? {
                        LeaseCheck::Lost => OutboxCheck::Lost,
                        lease_check => OutboxCheck::Next(
                            outbox::claim_next_part(tx, conversation, lease_check == LeaseCheck::Human).await?,
                            lease_check,
                        ),
                    })
                })
                .await?;
            match outbox_check {
                OutboxCheck::Lost => return Ok(RemainingWork::LeaseLost),
                OutboxCheck::Next(NextPart::Later(at), _) => return Ok(RemainingWork::At(at)),
                OutboxCheck::Next(NextPart::None, lease_check) => return Ok(self.remaining_work(lease, lease_check)),
                OutboxCheck::Next(NextPart::Now(part), _) => self.send_part(tenant, lease, &part).await?,
            }
        }
    }

    /// Returns the work that remains when no part is left. Messages that wait for a person return to the bot when the
    /// handover ends.
    fn remaining_work(&self, lease: &Lease, lease_check: LeaseCheck) -> RemainingWork {
        let conversation = &lease.conversation;
        match (lease_check, conversation.handler, conversation.handover_until) {
            (LeaseCheck::Human, Responder::Human, Some(until)) if !lease.pending.is_empty() => RemainingWork::At(until),
            // Handed over while this worker held the lease. The end of the handover is not known here, so the next
            // run is after the configured time.
            (LeaseCheck::Human, Responder::Bot, _) => RemainingWork::At(lease.now + handover_timeout(lease)),
            // The handover ended while this worker sent something: the next run answers the waiting messages as the
            // bot.
            (_, Responder::Human, _) if !lease.pending.is_empty() => RemainingWork::At(lease.now),
            _ => RemainingWork::Done,
        }
    }

    /// Sends one part and records the result. A transient failure delays the part; a permanent one fails its message.
    async fn send_part(&self, tenant: Uuid, lease: &Lease, part: &OutboxPart) -> Result<(), BoxError> {
        let outcome = match self.manychat_key(tenant, lease) {
            Ok(key) => self.manychat.send_text(&key, &lease.conversation.contact_id, &part.content).await,
            Err(error) => Err(error),
        };
        let conversation = lease.conversation.id;
        match outcome {
            Ok(()) => {
                self.db
                    .tenant_tx(tenant, async |tx| {
                        conversations::lock(tx, conversation).await?;
                        outbox::mark_sent(tx, conversation, part).await?;
                        Ok(())
                    })
                    .await?;
            }
            Err(SendError::Transient { retry_after, detail }) if part.attempts < MAX_SEND_ATTEMPTS => {
                let delay = send_retry_delay(part.attempts, retry_after);
                tracing::warn!(conversation_id = %conversation, attempt = part.attempts, detail, "part put off");
                self.db
                    .tenant_tx(tenant, async |tx| {
                        outbox::defer(tx, part, delay.as_secs_f64(), &detail).await?;
                        Ok(())
                    })
                    .await?;
            }
            Err(SendError::Transient { detail, .. }) => {
                self.fail(tenant, lease, part, DeliveryFailure::GivenUp, &detail).await?
            }
            Err(SendError::Permanent(why, detail)) => self.fail(tenant, lease, part, why, &detail).await?,
        }
        Ok(())
    }

    /// Opens the tenant's sealed ManyChat key.
    fn manychat_key(&self, tenant: Uuid, lease: &Lease) -> Result<Secret, SendError> {
        let sealed = lease.assistant.manychat_key.as_deref();
        let missing =
            || SendError::Permanent(DeliveryFailure::MissingKey, "the company has no ManyChat key".to_owned());
        self.keys
            .open(tenant, tenants::MANYCHAT_KEY_PURPOSE, sealed.ok_or_else(missing)?)
            // A new sealing key (SEALING_KEYS) may not have reached this instance yet, so the failure is transient.
            .map_err(|error| SendError::Transient { retry_after: None, detail: error.to_string() })
    }

    /// Marks the message as failed and records an activity that the tenant sees. An answer of which nothing reached the
    /// contact is refunded.
    async fn fail(
        &self,
        tenant: Uuid,
        lease: &Lease,
        part: &OutboxPart,
        why: DeliveryFailure,
        detail: &str,
    ) -> Result<(), BoxError> {
        let conversation = lease.conversation.id;
        tracing::warn!(conversation_id = %conversation, code = why.as_str(), detail, "message not delivered");
        let activity = Activity::for_conversation(
            conversation,
            "message_not_delivered",
            "A message did not reach its contact",
            ActivityStatus::Error,
        )
        .with_metadata(serde_json::json!({ "error_code": why.as_str() }));
        self.db
            .tenant_tx(tenant, async |tx| {
                // The contact was deleted meanwhile: there is nothing to mark and nobody to tell.
                if !conversations::lock(tx, conversation).await? {
                    return Ok(());
                }
                if outbox::mark_failed(tx, part, why, detail).await? {
                    quota::refund_undelivered(tx, conversation, part.message_id()).await?;
                }
                activities::record(tx, &activity).await?;
                Ok(())
            })
            .await?;
        Ok(())
    }
}

/// Returns the tenant's configured time of a handover.
fn handover_timeout(lease: &Lease) -> TimeDelta {
    TimeDelta::from_std(lease.assistant.handover_timeout).unwrap_or(TimeDelta::MAX)
}

/// Returns the delay before the next attempt: ManyChat's `Retry-After`, or else 2, 4, 8 … seconds. Both are at most
/// five minutes; jitter of 25 % is added to the latter.
fn send_retry_delay(attempts: i32, retry_after: Option<Duration>) -> Duration {
    if let Some(asked) = retry_after {
        return asked.min(MAX_RETRY_DELAY);
    }
    let exponential = Duration::from_secs(2_u64.saturating_pow(attempts.clamp(1, 10).unsigned_abs()));
    exponential.min(MAX_RETRY_DELAY).mul_f64(rand::random_range(0.75..1.25))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_delays_grow_and_are_bounded() {
        assert!(send_retry_delay(1, None) < Duration::from_secs(3));
        assert!(send_retry_delay(3, None) > Duration::from_secs(5));
        assert!(send_retry_delay(i32::MAX, None) <= MAX_RETRY_DELAY.mul_f64(1.25));
        assert_eq!(send_retry_delay(1, Some(Duration::from_secs(30))), Duration::from_secs(30));
        assert_eq!(send_retry_delay(1, Some(Duration::from_secs(86_400))), MAX_RETRY_DELAY);
    }
}
