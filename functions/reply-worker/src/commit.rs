//! The commit of a reply. One transaction writes the answer, marks the messages that it answers, queues its parts,
//! patches the conversation, charges or refunds the quota, and adds to the call ledger, the usage figures and the
//! activities. The transaction holds the lock on the conversation, so a person takes over before it or after it,
//! never in between.

use std::time::Duration;

use serde_json::Value;
use shared::{
    activities::{self, Activity, ActivityStatus},
    conversations::{self, ConversationPatch, HandoverReason, Lease, LeaseCheck},
    customer_texts,
    db::TenantTx,
    error::ApiError,
    llm::{ModelCall, Usage},
    logging,
    messages::{self, AnswerStatus, Author, NewMessage, SkipReason},
    quota::{self, Reservation},
    text::Language,
    usage::{self, UsageDelta},
    webhook_endpoints,
};
use uuid::Uuid;

use crate::Deps;

/// Attempts at committing an outcome. A short outage of the database must not lose an answer that was generated and
/// paid for.
pub(crate) const MAX_COMMIT_ATTEMPTS: u32 = 3;
/// Delay before the second attempt; doubles with each further one.
pub(crate) const COMMIT_RETRY_DELAY: Duration = Duration::from_millis(250);

/// A message to the contact.
#[derive(Debug)]
pub(crate) struct OutgoingMessage {
    /// `messages.id`, once written.
    pub(crate) id: Uuid,
    pub(crate) author: Author,
    pub(crate) text: String,
    /// True when the assistant's introduction precedes the text, if the contact was not greeted before.
    pub(crate) prepend_greeting: bool,
    pub(crate) citations: Option<Value>,
    pub(crate) answered: Option<bool>,
    pub(crate) model: Option<String>,
    pub(crate) usage: Usage,
}

impl OutgoingMessage {
    pub(crate) fn new(author: Author, text: String) -> Self {
        let usage = Usage::default();
        Self {
            id: Uuid::new_v4(),
            author,
            text,
            prepend_greeting: false,
            citations: None,
            answered: None,
            model: None,
            usage,
        }
    }

    /// Creates a message that is preceded by the assistant's introduction.
    pub(crate) fn with_greeting(author: Author, text: String) -> Self {
        Self { prepend_greeting: true, ..Self::new(author, text) }
    }
}

/// The outcome of a reply, to be committed in one transaction.
#[derive(Debug, Default)]
pub(crate) struct ReplyOutcome {
    /// The message to the contact, if any.
    message: Option<OutgoingMessage>,
    /// The reason for which the pending messages are skipped, if they are.
    skip_reason: Option<SkipReason>,
    /// The reason for a handover to a person, if there is one.
    pub(crate) hand_over: Option<HandoverReason>,
    /// Changes to the conversation.
    pub(crate) patch: ConversationPatch,
    /// Activities to record: type, title, severity.
    activities: Vec<(&'static str, &'static str, ActivityStatus)>,
    /// Metadata of all activities: ids and codes.
    metadata: Option<Value>,
    /// Model calls, for the ledger.
    pub(crate) calls: Vec<ModelCall>,
    /// Usage figures.
    pub(crate) used: UsageDelta,
    /// The quota reservation that the answer uses up.
    pub(crate) charge: Option<Reservation>,
    /// The quota reservation to refund, because there is no answer.
    pub(crate) refund: Option<Reservation>,
}

impl ReplyOutcome {
    /// Sends a message.
    pub(crate) fn send(speech: OutgoingMessage) -> Self {
        Self { message: Some(speech), ..Self::default() }
    }

    /// Sends a message that does not answer the pending messages, which are skipped.
    pub(crate) fn send_and_skip(speech: OutgoingMessage, why: SkipReason) -> Self {
        Self { message: Some(speech), skip_reason: Some(why), ..Self::default() }
    }

    /// Skips the pending messages without a message to the contact.
    pub(crate) fn skip(why: SkipReason) -> Self {
        Self { skip_reason: Some(why), ..Self::default() }
    }

    pub(crate) fn with_patch(self, notes: ConversationPatch) -> Self {
        Self { patch: notes, ..self }
    }

    pub(crate) fn with_activity(mut self, kind: &'static str, title: &'static str, status: ActivityStatus) -> Self {
        self.activities.push((kind, title, status));
        self
    }

    pub(crate) fn with_metadata(self, metadata: Value) -> Self {
        Self { metadata: Some(metadata), ..self }
    }

    /// Adds to `used` whether the outcome answers the pending messages, leaves them without an answer, or hands them
    /// over.
    fn count_answer(&self, used: UsageDelta, lease: &Lease) -> UsageDelta {
        let answered = self.message.as_ref().and_then(|message| message.answered);
        let refused = match self.skip_reason {
            Some(SkipReason::Quota) => i32::try_from(lease.pending.len()).unwrap_or(i32::MAX),
            _ => 0,
        };
        let is_reply = self.message.is_some() && self.skip_reason.is_none();
        UsageDelta {
            bot_answers: i32::from(answered == Some(true)),
            unanswered: i32::from(answered == Some(false)) + refused,
            handovers: i32::from(self.hand_over.is_some()),
            waited_since: lease.pending.iter().map(|message| message.created_at).min().filter(|_| is_reply),
            ..used
        }
    }
}

/// The result of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitStatus {
    /// This attempt committed the outcome.
    Committed,
    /// An earlier attempt committed the outcome; its result was lost.
    AlreadyCommitted,
    /// The outcome is not valid any more: a person answered or took over, the contact opted out, or another worker
    /// holds the lease.
    Discarded,
}

impl Deps {
    /// Commits an outcome, and tries again while the database is unavailable. When the outcome is not valid any more,
    /// nothing is sent: only the model calls are recorded, and the quota is refunded.
    pub(crate) async fn commit(
        &self,
        tenant: Uuid,
        lease: &Lease,
        language: Language,
        outcome: ReplyOutcome,
    ) -> Result<(), ApiError> {
        let conversation_id = lease.conversation.id;
        let mut attempt = 1;
        let committed = loop {
            match self.try_to_commit(tenant, lease, language, &outcome).await {
                Err(error) if error.is_unavailable() && attempt < MAX_COMMIT_ATTEMPTS => {
                    tracing::warn!(attempt, error = logging::chain(&error), "an answer could not be written yet");
                    tokio::time::sleep(COMMIT_RETRY_DELAY * 2_u32.pow(attempt - 1)).await;
                    attempt += 1;
                }
                result => break result?,
            }
        };
        match committed {
            CommitStatus::Committed | CommitStatus::AlreadyCommitted => {
                let (messages, calls) = (lease.pending.len(), outcome.calls.len());
                tracing::info!(%conversation_id, messages, calls, "answered what waited");
            }
            CommitStatus::Discarded => tracing::info!(%conversation_id, "not said: the conversation changed hands"),
        }
        Ok(())
    }

    /// Makes one attempt at a commit.
    async fn try_to_commit(
        &self,
        tenant: Uuid,
        lease: &Lease,
        language: Language,
        outcome: &ReplyOutcome,
    ) -> Result<CommitStatus, ApiError> {
        let db = &self.db;
        webhook_endpoints::tenant_tx_with_events(db, &self.webhook_queue, tenant, async |tx| {
            let committed = Self::write_outcome(tx, lease, language, outcome).await?;
            if committed == CommitStatus::Discarded {
                usage::record_calls(tx, Some(lease.conversation.id), "reply", &outcome.calls).await?;
                if let Some(reservation) = outcome.charge.as_ref().or(outcome.refund.as_ref()) {
                    quota::refund(tx, reservation).await?;
                }
            }
            Ok(committed)
        })
        .await
    }

    /// Writes an outcome in the caller's transaction. Writes nothing when the outcome is not valid any more
    /// ([`CommitStatus::Discarded`]).
    pub(crate) async fn write_outcome(
        tx: &mut TenantTx,
        lease: &Lease,
        language: Language,
        outcome: &ReplyOutcome,
    ) -> Result<CommitStatus, ApiError> {
        let lease_check = conversations::lock_and_check(tx, lease).await?;
        let conversation = lease.conversation.id;
        let waiting: Vec<_> = lease.pending.iter().map(|message| message.id).collect();
        let answer_status =
            messages::answer_status(tx, outcome.message.as_ref().map(|message| message.id), &waiting).await?;
        match (answer_status, lease_check) {
            (AnswerStatus::AlreadyWritten, _) => return Ok(CommitStatus::AlreadyCommitted),
            (AnswerStatus::Pending, LeaseCheck::Bot) => {}
            _ => return Ok(CommitStatus::Discarded),
        }
        let mut used = outcome.used;
        let mut notes = outcome.patch.clone();
        if let Some(outgoing) = &outcome.message {
            used.conversations = i32::from(usage::has_no_outbound_today(tx, conversation).await?);
            let greets = outgoing.prepend_greeting && !lease.conversation.is_greeted;
            let text = if greets {
                format!("{}\n\n{}", customer_texts::greeting(&lease.assistant.identity, language), outgoing.text)
            } else {
                outgoing.text.clone()
            };
            notes.greeted |= greets;
            let answered: &[Uuid] = if outcome.skip_reason.is_some() { &[] } else { &waiting };
            let message = NewMessage {
                id: outgoing.id,
                citations: outgoing.citations.clone(),
                answered: outgoing.answered,
                model: outgoing.model.as_deref(),
                usage: outgoing.usage,
                ..NewMessage::without_model(conversation, outgoing.author, &text, answered)
            };
            messages::write(tx, &message).await?;
            used.messages += 1;
        }
        if let Some(why) = outcome.skip_reason {
            messages::skip(tx, &waiting, why).await?;
        }
        // A proposal stands only while it is the last thing that was said. A message from before it is no reply to it.
        if notes.order_draft.is_none() && (outcome.message.is_some() || lease.replies_to_last_outbound()) {
            notes.order_draft = Some(None);
        }
        conversations::update(tx, conversation, &notes).await?;
        if let Some(reason) = outcome.hand_over {
            conversations::hand_over(tx, conversation, reason).await?;
        }
        if let Some(reservation) = &outcome.charge {
            quota::charge(tx, reservation).await?;
        }
        if let Some(reservation) = &outcome.refund {
            quota::refund(tx, reservation).await?;
        }
        Self::record_activities(tx, conversation, outcome).await?;
        usage::record_calls(tx, Some(conversation), "reply", &outcome.calls).await?;
        used.messages += i32::try_from(waiting.len()).unwrap_or(i32::MAX);
        usage::add(tx, &outcome.count_answer(used, lease).with_calls(&outcome.calls)).await?;
        Ok(CommitStatus::Committed)
    }

    /// Records the activities of an outcome, each with the outcome's metadata.
    async fn record_activities(tx: &mut TenantTx, conversation: Uuid, outcome: &ReplyOutcome) -> Result<(), ApiError> {
        let metadata = outcome.metadata.clone().unwrap_or_else(|| serde_json::json!({}));
        for (kind, title, status) in &outcome.activities {
            let activity = Activity::for_conversation(conversation, kind, title, *status);
            activities::record(tx, &activity.with_metadata(metadata.clone())).await?;
        }
        Ok(())
    }
}
