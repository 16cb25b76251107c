//! Sends what the outbox holds, part by part. Nothing is thought of here: a send that failed is tried again as it is.
//!
//! ManyChat knows no idempotency key. A worker that dies after ManyChat took a part and before that is noted has its
//! successor send the part again: a repeated part is the price of never losing one.

use std::time::Duration;

use chrono::TimeDelta;
use shared::{
    activities::{self, Activity, Status},
    conversations::{self, Handler, Lease, Standing},
    error::ApiError,
    function::BoxError,
    manychat::{Rejection, SendError},
    outbox::{self, MOST_ATTEMPTS, NextPart, Part},
    sealed::Secret,
    tenants,
};
use uuid::Uuid;

use crate::{After, Deps};

/// The longest pause between two attempts at one part.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What the outbox said under the lease.
enum Found {
    Next(NextPart, Standing),
    Lost,
}

impl Deps {
    /// Sends until nothing is left or the next part has to wait.
    pub(crate) async fn send(&self, tenant: Uuid, lease: &Lease) -> Result<After, BoxError> {
        let conversation = lease.conversation.id;
        loop {
            let found = self
                .db
                .tenant(tenant, async |tx| {
                    // Looked at again just before sending: a person may have taken over while the bot was thinking.
                    Ok::<_, ApiError>(match conversations::hold(tx, lease).await? {
                        Standing::Lost => Found::Lost,
                        standing => {
                            Found::Next(outbox::next(tx, conversation, standing == Standing::Human).await?, standing)
                        }
                    })
                })
                .await?;
            match found {
                Found::Lost => return Ok(After::Lost),
                Found::Next(NextPart::Later(at), _) => return Ok(After::At(at)),
                Found::Next(NextPart::None, standing) => return Ok(self.rest(lease, standing)),
                Found::Next(NextPart::Now(part), _) => self.push(tenant, lease, &part).await?,
            }
        }
    }

    /// What is left when nothing is to be sent: messages that wait for a person come back to the bot in time.
    fn rest(&self, lease: &Lease, standing: Standing) -> After {
        let conversation = &lease.conversation;
        match (standing, conversation.handler, conversation.handover_until) {
            (Standing::Human, Handler::Human, Some(until)) if !lease.waiting.is_empty() => After::At(until),
            // Handed over while this worker had it: when that ends is not known here, so it is looked at again.
            (Standing::Human, Handler::Bot, _) => After::At(lease.now + handover(lease)),
            _ => After::Done,
        }
    }

    async fn push(&self, tenant: Uuid, lease: &Lease, part: &Part) -> Result<(), BoxError> {
        let outcome = match self.key(tenant, lease) {
            Ok(key) => self.manychat.send_text(&key, &lease.conversation.contact_id, &part.content).await,
            Err(error) => Err(error),
        };
        let conversation = lease.conversation.id;
        match outcome {
            Ok(()) => {
                self.db
                    .tenant(tenant, async |tx| Ok::<_, ApiError>(outbox::sent(tx, conversation, part).await?))
                    .await?;
            }
            Err(SendError::Transient { retry_after, detail }) if part.attempts < MOST_ATTEMPTS => {
                let pause = pause(part.attempts, retry_after);
                tracing::warn!(conversation_id = %conversation, attempt = part.attempts, detail, "part put off");
                self.db
                    .tenant(tenant, async |tx| {
                        outbox::put_off(tx, part, pause.as_secs_f64(), &detail).await?;
                        Ok::<_, ApiError>(())
                    })
                    .await?;
            }
            Err(SendError::Transient { detail, .. }) => {
                self.fail(tenant, lease, part, Rejection::GivenUp, &detail).await?
            }
            Err(SendError::Permanent(why, detail)) => self.fail(tenant, lease, part, why, &detail).await?,
        }
        Ok(())
    }

    fn key(&self, tenant: Uuid, lease: &Lease) -> Result<Secret, SendError> {
        let sealed = lease.assistant.manychat_key.as_deref();
        let missing = || SendError::Permanent(Rejection::MissingKey, "the company has no ManyChat key".to_owned());
        self.keys
            .open(tenant, tenants::MANYCHAT_KEY, sealed.ok_or_else(missing)?)
            // SEALING_KEYS may be on its way to this instance: nothing is wrong with the message.
            .map_err(|error| SendError::Transient { retry_after: None, detail: error.to_string() })
    }

    /// The message ends, and the tenant sees why.
    async fn fail(
        &self,
        tenant: Uuid,
        lease: &Lease,
        part: &Part,
        why: Rejection,
        detail: &str,
    ) -> Result<(), BoxError> {
        let conversation = lease.conversation.id;
        tracing::warn!(conversation_id = %conversation, code = why.as_str(), detail, "message not delivered");
        let activity =
            Activity::of(conversation, "message_not_delivered", "A message did not reach its contact", Status::Error)
                .with(serde_json::json!({ "error_code": why.as_str() }));
        self.db
            .tenant(tenant, async |tx| {
                outbox::fail(tx, part, why, detail).await?;
                activities::record(tx, &activity).await?;
                Ok::<_, ApiError>(())
            })
            .await?;
        Ok(())
    }
}

fn handover(lease: &Lease) -> TimeDelta {
    TimeDelta::from_std(lease.assistant.handover).unwrap_or(TimeDelta::MAX)
}

/// 2, 4, 8 … seconds, up to five minutes, with jitter; or what ManyChat asks for, within the same bound.
fn pause(attempts: i32, retry_after: Option<Duration>) -> Duration {
    if let Some(asked) = retry_after {
        return asked.min(LONGEST_PAUSE);
    }
    let exponential = Duration::from_secs(2_u64.saturating_pow(attempts.clamp(1, 10).unsigned_abs()));
    exponential.min(LONGEST_PAUSE).mul_f64(rand::random_range(0.75..1.25))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        assert!(pause(1, None) < Duration::from_secs(3));
        assert!(pause(3, None) > Duration::from_secs(5));
        assert!(pause(i32::MAX, None) <= LONGEST_PAUSE.mul_f64(1.25));
        assert_eq!(pause(1, Some(Duration::from_secs(30))), Duration::from_secs(30));
        assert_eq!(pause(1, Some(Duration::from_secs(86_400))), LONGEST_PAUSE);
    }
}
