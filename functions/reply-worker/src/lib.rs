//! Worker of the reply queue: acquires a conversation's lease, generates one answer, commits it with all that belongs
//! to it, and sends it part by part. When a worker dies, the next one continues from the state in the database.
//!
//! A queue message only says that a conversation has something to answer or to send. The database holds the work, so
//! a message that is delivered twice, too early or too late does no harm.

mod answer;
mod catalogue;
mod commit;
mod courtesy;
mod generation;
mod handover;
mod live;
mod order_drafts;
mod rag;
mod reply;
mod reservation;
mod send;
mod triage;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use shared::{
    conversations::{self, ContactLimits, JobSchedule, Lease, LeaseOutcome, Responder},
    db::{self, Db},
    embeddings::EmbedderRegistry,
    error::{ApiError, BoxError},
    function::{EventFunction, Function},
    jobs::ReplyMessage,
    llm::Provider,
    logging,
    manychat::{self, ManyChat},
    messages::PendingMessage,
    queue::{self, Queue, SqsRecord},
    sealed::KeyRing,
    settings::Settings,
    telemetry,
    unconfirmed::UnconfirmedLimits,
};
use tokio::time::Instant;

/// The `reply-worker` Lambda function.
pub const FUNCTION: Function = Function::event::<Deps>();

/// Time from the contact's last message to the answer, or to the notice that there is none.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(25);
/// Part of [`ANSWER_TIMEOUT`] reserved for the steps after generation.
const COMMIT_MARGIN: Duration = Duration::from_secs(2);
/// Minimum time for generation, also when it begins late.
const MIN_GENERATION_TIME: Duration = Duration::from_secs(8);
/// Maximum delay between two deliveries of a failed queue message.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(64);
/// Timeout of sending a queue message. If it fails, the queue delivers the present message again, or the job is due.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum delay of a queue message; later runs are left to maintenance. SQS delays a message by at most 15 minutes.
const MAX_QUEUE_DELAY: TimeDelta = TimeDelta::minutes(14);

/// Dependencies of the function.
#[derive(Debug, Clone)]
pub struct Deps {
    db: Db,
    queue: Queue,
    webhook_queue: Queue,
    manychat: ManyChat,
    keys: KeyRing,
    embedders: EmbedderRegistry,
    provider: Provider,
    unconfirmed: UnconfirmedLimits,
    burst: BurstPolicy,
    contact_limits: ContactLimits,
}

/// Returns the longest time that one queue message may take: the sum of the deadlines of all its steps. The function's
/// timeout must be longer.
#[must_use]
pub fn longest_run() -> Duration {
    // Acquire the lease; look for the next part, record it and look again; release the lease.
    let transactions = db::REQUEST_TIMEOUT * 5;
    // The reservation and the history are read within the time of the generation.
    let generation = ANSWER_TIMEOUT - COMMIT_MARGIN;
    // The calls of a failed attempt are recorded instead of a commit.
    let commit = db::REQUEST_TIMEOUT * commit::MAX_COMMIT_ATTEMPTS + commit::COMMIT_RETRY_DELAY * 3;
    // A released lease that another worker waits for, and the next run; or the delay of a failed message.
    transactions + generation + commit + manychat::CALL_TIMEOUT + QUEUE_TIMEOUT * 2
}

/// The waiting times for further messages of a contact, before all are answered together.
#[derive(Debug, Clone, Copy)]
struct BurstPolicy {
    /// Time to wait after the last message.
    window: TimeDelta,
    /// Maximum time to wait after the first message.
    cap: TimeDelta,
}

/// The work that remains in a conversation when its worker stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RemainingWork {
    /// No work remains.
    Done,
    /// Messages or parts remain, for which nothing can be done before this time.
    At(DateTime<Utc>),
    /// A newer message came in; its own queue message continues the work.
    NewerMessage,
    /// The lease was lost to another worker.
    LeaseLost,
}

impl EventFunction for Deps {
    const NAME: &'static str = "reply-worker";

    fn read(settings: &mut Settings) -> Self {
        let seconds = |seconds: Duration| TimeDelta::from_std(seconds).unwrap_or(TimeDelta::MAX);
        let burst = BurstPolicy {
            window: seconds(settings.seconds("BURST_WINDOW_S", 2)),
            cap: seconds(settings.seconds("BURST_CAP_S", 8)),
        };
        if burst.cap < burst.window {
            settings.problem("BURST_CAP_S must not be less than BURST_WINDOW_S");
        }
        Self {
            db: Db::read(settings),
            queue: Queue::read(settings, "REPLY_QUEUE_URL"),
            webhook_queue: Queue::read(settings, "WEBHOOK_QUEUE_URL"),
            manychat: ManyChat::read(settings),
            keys: KeyRing::read(settings),
            embedders: EmbedderRegistry::read(settings),
            provider: Provider::read(settings),
            unconfirmed: UnconfirmedLimits::read(settings),
            burst,
            contact_limits: ContactLimits::read(settings),
        }
    }

    async fn handle(&self, event: Value) -> Result<Value, BoxError> {
        self.queue.process_batch(&event, MAX_RETRY_DELAY, |record| self.process(record)).await
    }
}

impl Deps {
    /// Processes one queue message: acquires the lease, does the work and releases the lease.
    async fn process(&self, record: SqsRecord<'_>) -> Result<(), BoxError> {
        let message: ReplyMessage = serde_json::from_str(record.body)?;
        telemetry::record_tenant(message.customer_id);
        let (tenant, conversation) = (message.customer_id, message.conversation_id);
        let outcome = self.db.tenant_tx(tenant, async |tx| Ok(conversations::acquire(tx, conversation).await?)).await?;
        let lease = match outcome {
            LeaseOutcome::Leased(lease) => lease,
            // The holder sends a queue message when it releases the lease. This one is for the case that it is dead.
            LeaseOutcome::Busy { until, is_first: true } => {
                // Clamped, because `until` is a time of the database's clock, from which this clock may differ.
                let left = (until - shared::clock::now()).clamp(TimeDelta::zero(), lease_timeout());
                return self.requeue(&message, left).await;
            }
            LeaseOutcome::Busy { is_first: false, .. } => return Ok(()),
            LeaseOutcome::Gone => return Ok(()),
        };
        let acquired_at = Instant::now();
        match self.answer_and_send(&message, &lease, record.attempt).await {
            Ok(remaining) => self.finish(&message, &lease, acquired_at, remaining).await,
            Err(error) => {
                // The redelivery of this queue message is the next attempt. If the release fails too, the lease
                // expires.
                if let Err(error) = self.release(&message, &lease, None).await {
                    tracing::warn!(error = logging::chain(&error), "the lease is left to run out");
                }
                Err(error)
            }
        }
    }

    /// Answers the pending messages, unless more of the burst may follow, and sends the queued parts.
    async fn answer_and_send(
        &self,
        message: &ReplyMessage,
        lease: &Lease,
        attempt: u32,
    ) -> Result<RemainingWork, BoxError> {
        if lease.conversation.handler == Responder::Bot && !lease.pending.is_empty() {
            if let Some(due) = self.burst.pending_until(&lease.pending, lease.now) {
                let is_newest = lease.last_received().map(|newest| newest.id) == message.message_id;
                return Ok(if is_newest || message.message_id.is_none() {
                    RemainingWork::At(due)
                } else {
                    RemainingWork::NewerMessage
                });
            }
            self.reply(message.customer_id, lease, attempt).await?;
        }
        self.send(message.customer_id, lease).await
    }

    /// Releases the lease and queues the remaining work.
    async fn finish(
        &self,
        message: &ReplyMessage,
        lease: &Lease,
        acquired_at: Instant,
        remaining: RemainingWork,
    ) -> Result<(), BoxError> {
        match remaining {
            RemainingWork::Done => self.release(message, lease, Some(JobSchedule::Done)).await?,
            RemainingWork::NewerMessage => self.release(message, lease, None).await?,
            RemainingWork::LeaseLost => {}
            RemainingWork::At(at) => {
                self.release(message, lease, Some(JobSchedule::At(at))).await?;
                // By the database's clock, which decides what is due. With another clock, a message that comes too early
                // would send the next one at once, and so on until the time has come.
                let held = TimeDelta::from_std(acquired_at.elapsed()).unwrap_or(TimeDelta::MAX);
                return self.requeue(message, at - lease.now - held).await;
            }
        }
        Ok(())
    }

    /// Releases the lease; with `next`, updates the reply job too. When a worker was turned away meanwhile, sends a queue
    /// message in its place. If that fails, the turned-away worker's own message comes when the lease would have expired.
    async fn release(&self, message: &ReplyMessage, lease: &Lease, next: Option<JobSchedule>) -> Result<(), ApiError> {
        let is_awaited = self
            .db
            .tenant_tx(message.customer_id, async |tx| {
                Ok(match next {
                    Some(next) => conversations::release_and_reschedule(tx, lease, next).await?,
                    None => conversations::release(tx, lease).await?,
                })
            })
            .await?;
        if is_awaited {
            let next = ReplyMessage { message_id: None, ..message.clone() };
            self.queue.send_or_log(&next, Duration::ZERO).await;
        }
        Ok(())
    }

    /// Sends a queue message for the conversation after `wait`, unless that is beyond the queue's limit. If this fails,
    /// the conversation's job starts the work later.
    async fn requeue(&self, message: &ReplyMessage, wait: TimeDelta) -> Result<(), BoxError> {
        if wait <= MAX_QUEUE_DELAY {
            let next = ReplyMessage { message_id: None, ..message.clone() };
            let send = self.queue.send_after(&next, wait.to_std().unwrap_or_default());
            tokio::time::timeout(QUEUE_TIMEOUT, send).await??;
        }
        Ok(())
    }
}

/// The longest time for which another worker holds a lease.
fn lease_timeout() -> TimeDelta {
    TimeDelta::from_std(conversations::LEASE_TIMEOUT).unwrap_or(TimeDelta::MAX)
}

/// The deadlines of a reply.
#[derive(Debug, Clone, Copy)]
struct ReplyDeadlines {
    /// Deadline of the generation.
    generation: Instant,
    /// Deadline for a message to the contact: an answer, or a notice that there is none.
    total: Instant,
}

impl ReplyDeadlines {
    /// Returns the deadlines for the pending messages of a lease, from now on.
    fn start(lease: &Lease) -> Self {
        let waited = lease.last_received().map(|last| lease.now - last.created_at);
        Self::for_wait(waited.and_then(|waited| waited.to_std().ok()).unwrap_or_default(), Instant::now())
    }

    /// Returns the deadlines for a contact that has waited for `waited`.
    fn for_wait(waited: Duration, now: Instant) -> Self {
        let left = ANSWER_TIMEOUT.saturating_sub(waited);
        Self { generation: now + left.saturating_sub(COMMIT_MARGIN).max(MIN_GENERATION_TIME), total: now + left }
    }

    /// Returns true when another attempt after this one could meet the deadline.
    fn allows_retry(self, attempt: u32, now: Instant) -> bool {
        now + queue::retry_delay(attempt, MAX_RETRY_DELAY) + MIN_GENERATION_TIME + COMMIT_MARGIN <= self.total
    }
}

impl BurstPolicy {
    /// Returns the end of the burst of messages, or `None` when it is in the past.
    fn pending_until(&self, waiting: &[PendingMessage], now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let received = || waiting.iter().map(|message| message.created_at);
        let due = (received().max()? + self.window).min(received().min()? + self.cap);
        (due > now).then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use shared::messages::PendingMessage;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn retries_are_allowed_only_while_they_meet_the_deadline() {
        let seconds = Duration::from_secs;
        let now = Instant::now();
        let deadlines = ReplyDeadlines::for_wait(seconds(2), now);
        assert_eq!(deadlines.generation - now, seconds(21));
        assert!(deadlines.allows_retry(1, now) && deadlines.allows_retry(2, now));
        assert!(deadlines.allows_retry(1, now + seconds(10)) && !deadlines.allows_retry(2, now + seconds(10)));
        assert!(!deadlines.allows_retry(1, now + seconds(12)), "it would be put off by 2 s");
        // A reply that begins too late has one attempt with the minimum time.
        let late = ReplyDeadlines::for_wait(seconds(600), now);
        assert_eq!(late.generation - now, MIN_GENERATION_TIME);
        assert!(!late.allows_retry(1, now));
    }

    #[test]
    fn a_burst_ends_after_its_window_or_at_its_cap() {
        let burst = BurstPolicy { window: TimeDelta::seconds(2), cap: TimeDelta::seconds(8) };
        let start = Utc::now();
        let at = |second: i64| start + TimeDelta::seconds(second);
        let waiting = |seconds: &[i64]| -> Vec<_> {
            let message = |second: &i64| PendingMessage {
                id: Uuid::new_v4(),
                content: "x".to_owned(),
                attachment: None,
                created_at: at(*second),
                interacted_at: None,
            };
            seconds.iter().map(message).collect()
        };
        assert_eq!(burst.pending_until(&waiting(&[0]), at(1)), Some(at(2)));
        assert_eq!(burst.pending_until(&waiting(&[0]), at(2)), None);
        assert_eq!(burst.pending_until(&waiting(&[0, 1]), at(2)), Some(at(3)));
        assert_eq!(burst.pending_until(&waiting(&[0, 2, 4, 6, 7]), at(7)), Some(at(8)));
        assert_eq!(burst.pending_until(&waiting(&[0, 2, 4, 6, 8]), at(8)), None);
        // The messages have the order in which they were written, and not that in which they came in.
        assert_eq!(burst.pending_until(&waiting(&[1, 0]), at(1)), Some(at(3)));
    }
}
