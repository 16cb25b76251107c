//! Answers conversations: takes the lease, thinks once, writes the answer with everything that belongs to it, and sends
//! it part by part. A worker that dies is followed by one that goes on where the database says it stopped.
//!
//! A message of the queue only says that something waits in a conversation. Delivered twice, too early or too late, it
//! finds nothing to do, or does what is to be done.

mod commit;
mod judge;
mod live;
mod money;
mod rag;
mod reply;
mod send;
mod wording;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::{
    conversations::{self, Handler, Lease, Next, Taken, Waiting},
    db::Db,
    embeddings::Embedders,
    error::ApiError,
    function::{BoxError, EventFunction, Function},
    jobs::ReplyMessage,
    llm::Provider,
    logging,
    manychat::ManyChat,
    queue::{Queue, Record, records},
    sealed::KeyRing,
    settings::Settings,
};
use tokio::time::Instant;
use tracing::Instrument;

/// The function.
pub const FUNCTION: Function = Function::event::<Deps>();

/// Longer than the function's own timeout: whose lease has run out is dead.
const LEASE: Duration = Duration::from_secs(75);
/// So long after the last words a contact has an answer, or hears that there is none.
const ANSWERED_WITHIN: Duration = Duration::from_secs(25);
/// Of it, for what comes after thinking.
const ROOM: Duration = Duration::from_secs(2);
/// Thinking has at least this, however late it begins.
const LEAST_THINKING: Duration = Duration::from_secs(8);
/// How soon a conversation that another worker has is looked at again.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(3);
/// What is later than this is left to maintenance: SQS holds messages back for 15 minutes at most.
const SOON: TimeDelta = TimeDelta::minutes(14);

/// What it needs.
#[derive(Debug, Clone)]
pub struct Deps {
    db: Db,
    queue: Queue,
    manychat: ManyChat,
    keys: KeyRing,
    embedders: Embedders,
    provider: Provider,
    burst: Burst,
}

/// How long further messages are waited for before all are answered at once.
#[derive(Debug, Clone, Copy)]
struct Burst {
    /// After the last message.
    window: TimeDelta,
    /// After the first one, whatever comes.
    cap: TimeDelta,
}

/// What is left to do in a conversation when its worker lets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// Nothing.
    Done,
    /// Something, then.
    At(DateTime<Utc>),
    /// The message that came last brings a delivery of its own.
    Newer,
    /// Another worker has the conversation.
    Lost,
}

impl EventFunction for Deps {
    const NAME: &'static str = "reply-worker";

    fn read(settings: &mut Settings) -> Self {
        let seconds = |seconds: Duration| TimeDelta::from_std(seconds).unwrap_or(TimeDelta::MAX);
        let burst = Burst {
            window: seconds(settings.seconds("BURST_WINDOW_S", 2)),
            cap: seconds(settings.seconds("BURST_CAP_S", 8)),
        };
        if burst.cap < burst.window {
            settings.problem("BURST_CAP_S must not be less than BURST_WINDOW_S");
        }
        Self {
            db: Db::read(settings),
            queue: Queue::read(settings, "REPLY_QUEUE_URL"),
            manychat: ManyChat::read(settings),
            keys: KeyRing::read(settings),
            embedders: Embedders::read(settings),
            provider: Provider::read(settings),
            burst,
        }
    }

    async fn handle(&self, event: Value) -> Result<Value, BoxError> {
        let mut failures = Vec::new();
        for record in records(&event)? {
            let span =
                tracing::error_span!("record", message_id = record.message_id, tenant_id = tracing::field::Empty);
            if let Err(error) = self.take(&record).instrument(span.clone()).await {
                let _entered = span.enter();
                tracing::error!(attempt = record.attempt, error = logging::chain(error.as_ref()), "record failed");
                self.put_off(&record).await;
                failures.push(json!({ "itemIdentifier": record.message_id }));
            }
        }
        Ok(json!({ "batchItemFailures": failures }))
    }
}

impl Deps {
    async fn take(&self, record: &Record<'_>) -> Result<(), BoxError> {
        let message: ReplyMessage = serde_json::from_str(record.body)?;
        tracing::Span::current().record("tenant_id", tracing::field::display(message.customer_id));
        let (tenant, conversation) = (message.customer_id, message.conversation_id);
        let taken = self
            .db
            .tenant(tenant, async |tx| Ok::<_, ApiError>(conversations::take(tx, conversation, LEASE).await?))
            .await?;
        let lease = match taken {
            Taken::Leased(lease) => lease,
            // Whoever has it may be done in a moment, or dead until its lease runs out.
            Taken::Busy(until) => return self.again(&message, until.min(Utc::now() + LOOK_AGAIN)).await,
            Taken::Gone => return Ok(()),
        };
        match self.work(&message, &lease, record.attempt).await {
            Ok(after) => self.let_go(&message, &lease, after).await,
            Err(error) => {
                // The next attempt is this message's own. Should this fail too, the lease runs out.
                if let Err(error) = self.release(&message, &lease, None).await {
                    tracing::warn!(error = logging::chain(&error), "the lease is left to run out");
                }
                Err(error)
            }
        }
    }

    /// Answers what waits, if it is time, and sends what is to be sent.
    async fn work(&self, message: &ReplyMessage, lease: &Lease, attempt: u32) -> Result<After, BoxError> {
        if lease.conversation.handler == Handler::Bot && !lease.waiting.is_empty() {
            if let Some(due) = self.burst.not_before(&lease.waiting, lease.now) {
                let is_newest = lease.waiting.last().map(|newest| newest.id) == message.message_id;
                return Ok(if is_newest || message.message_id.is_none() { After::At(due) } else { After::Newer });
            }
            self.reply(message.customer_id, lease, attempt).await?;
        }
        self.send(message.customer_id, lease).await
    }

    async fn let_go(&self, message: &ReplyMessage, lease: &Lease, after: After) -> Result<(), BoxError> {
        match after {
            After::Done => self.release(message, lease, Some(Next::Done)).await?,
            After::Newer => self.release(message, lease, None).await?,
            After::Lost => {}
            After::At(at) => {
                self.release(message, lease, Some(Next::At(at))).await?;
                return self.again(message, at).await;
            }
        }
        Ok(())
    }

    async fn release(&self, message: &ReplyMessage, lease: &Lease, next: Option<Next>) -> Result<(), ApiError> {
        self.db
            .tenant(message.customer_id, async |tx| {
                match next {
                    Some(next) => conversations::release(tx, lease, next).await?,
                    None => conversations::let_go(tx, lease).await?,
                }
                Ok(())
            })
            .await
    }

    /// Has the conversation looked at again. Should the queue be away, its job brings it back.
    async fn again(&self, message: &ReplyMessage, at: DateTime<Utc>) -> Result<(), BoxError> {
        let wait = at - Utc::now();
        if wait <= SOON {
            let again = ReplyMessage { message_id: None, ..message.clone() };
            self.queue.send_after(&again, wait.to_std().unwrap_or_default()).await?;
        }
        Ok(())
    }

    /// The next attempt comes after 2^n seconds instead of the queue's own time, which is made for workers that die.
    async fn put_off(&self, record: &Record<'_>) {
        let delay = delay_after(record.attempt);
        if let Err(error) = self.queue.put_off(record.receipt_handle, delay).await {
            tracing::warn!(error = logging::chain(&error), "the next attempt waits for the queue's own time");
        }
    }
}

/// How long the attempt after this one is put off.
fn delay_after(attempt: u32) -> Duration {
    Duration::from_secs(2_u64.saturating_pow(attempt.min(6)))
}

/// How long an answer has, beginning now.
#[derive(Debug, Clone, Copy)]
struct Time {
    /// When thinking must be over.
    thinking: Instant,
    /// When the contact must have heard something.
    all: Instant,
}

impl Time {
    fn begin(lease: &Lease) -> Self {
        let waited = lease.waiting.last().map(|last| lease.now - last.created_at);
        Self::after(waited.and_then(|waited| waited.to_std().ok()).unwrap_or_default(), Instant::now())
    }

    /// For a contact that has waited so long by now.
    fn after(waited: Duration, now: Instant) -> Self {
        let left = ANSWERED_WITHIN.saturating_sub(waited);
        Self { thinking: now + left.saturating_sub(ROOM).max(LEAST_THINKING), all: now + left }
    }

    /// Whether an attempt after this one could still end in time.
    fn allows_another(self, attempt: u32, now: Instant) -> bool {
        now + delay_after(attempt) + LEAST_THINKING + ROOM <= self.all
    }
}

impl Burst {
    /// When a burst is over; `None` when it is.
    fn not_before(&self, waiting: &[Waiting], now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let (first, last) = (waiting.first()?, waiting.last()?);
        let due = (last.created_at + self.window).min(first.created_at + self.cap);
        (due > now).then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use shared::conversations::Waiting;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_contact_hears_something_in_time() {
        let seconds = Duration::from_secs;
        let now = Instant::now();
        let time = Time::after(seconds(2), now);
        assert_eq!(time.thinking - now, seconds(21));
        assert!(time.allows_another(1, now) && time.allows_another(2, now));
        assert!(time.allows_another(1, now + seconds(10)) && !time.allows_another(2, now + seconds(10)));
        assert!(!time.allows_another(1, now + seconds(12)), "it would be put off by 2 s");
        // Whose turn comes too late is thought about all the same, once.
        let late = Time::after(seconds(600), now);
        assert_eq!(late.thinking - now, LEAST_THINKING);
        assert!(!late.allows_another(1, now));
    }

    #[test]
    fn a_burst_is_over_after_a_pause_or_at_its_cap() {
        let burst = Burst { window: TimeDelta::seconds(2), cap: TimeDelta::seconds(8) };
        let start = Utc::now();
        let at = |second: i64| start + TimeDelta::seconds(second);
        let waiting = |seconds: &[i64]| -> Vec<_> {
            let message = |second: &i64| Waiting {
                id: Uuid::new_v4(),
                content: "x".to_owned(),
                attachment: None,
                created_at: at(*second),
            };
            seconds.iter().map(message).collect()
        };
        assert_eq!(burst.not_before(&waiting(&[0]), at(1)), Some(at(2)));
        assert_eq!(burst.not_before(&waiting(&[0]), at(2)), None);
        assert_eq!(burst.not_before(&waiting(&[0, 1]), at(2)), Some(at(3)));
        assert_eq!(burst.not_before(&waiting(&[0, 2, 4, 6, 7]), at(7)), Some(at(8)));
        assert_eq!(burst.not_before(&waiting(&[0, 2, 4, 6, 8]), at(8)), None);
    }
}
