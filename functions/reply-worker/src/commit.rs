//! What was decided becomes true in one transaction: the answer and what it answers, its parts to send, what changes on
//! the conversation, the unit of the quota, the ledger, the figures and the activities. While it is written the
//! conversation is locked, so a person who takes over does so before it or after it, never in between.

use std::time::Duration;

use serde_json::Value;
use shared::{
    activities::{self, Status},
    conversations::{self, HandoverReason, Lease, Notes, Standing},
    db::TenantTx,
    error::ApiError,
    llm::{Call, Usage},
    logging,
    messages::{self, Author, NewMessage, Settled, Skipped},
    quota::{self, Reservation},
    text::Language,
    usage::{self, Used},
};
use uuid::Uuid;

use crate::{Deps, reply::activity, wording};

/// Attempts at writing an outcome down: what was thought of, and is paid for, does not go with a database that is away
/// for a moment.
const ATTEMPTS: u32 = 3;
/// Before the second; it doubles.
const PAUSE: Duration = Duration::from_millis(250);

/// Something to say.
#[derive(Debug)]
pub(crate) struct Speech {
    /// Its message's, once it is written.
    pub(crate) id: Uuid,
    pub(crate) author: Author,
    pub(crate) text: String,
    /// Whether it begins with who is speaking, where the contact does not know yet.
    pub(crate) greets: bool,
    pub(crate) citations: Option<Value>,
    pub(crate) answered: Option<bool>,
    pub(crate) model: Option<String>,
    pub(crate) usage: Usage,
}

impl Speech {
    pub(crate) fn new(author: Author, text: String) -> Self {
        let usage = Usage::default();
        Self { id: Uuid::new_v4(), author, text, greets: false, citations: None, answered: None, model: None, usage }
    }

    pub(crate) fn greeting(author: Author, text: String) -> Self {
        Self { greets: true, ..Self::new(author, text) }
    }
}

/// What was decided.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What is said; without it, nothing is.
    speech: Option<Speech>,
    /// Why what waits is not answered.
    skips: Option<Skipped>,
    pub(crate) hand_over: Option<HandoverReason>,
    pub(crate) notes: Notes,
    activities: Vec<(&'static str, &'static str, Status)>,
    /// Ids and codes of the activities.
    metadata: Option<Value>,
    pub(crate) calls: Vec<Call>,
    pub(crate) used: Used,
    /// The unit that this answer spends.
    pub(crate) spends: Option<Reservation>,
    /// The unit that goes back, there being no answer.
    pub(crate) returns: Option<Reservation>,
}

impl Outcome {
    pub(crate) fn say(speech: Speech) -> Self {
        Self { speech: Some(speech), ..Self::default() }
    }

    pub(crate) fn skip(why: Skipped) -> Self {
        Self { skips: Some(why), ..Self::default() }
    }

    pub(crate) fn noting(self, notes: Notes) -> Self {
        Self { notes, ..self }
    }

    pub(crate) fn telling(mut self, kind: &'static str, title: &'static str, status: Status) -> Self {
        self.activities.push((kind, title, status));
        self
    }

    pub(crate) fn about(self, metadata: Value) -> Self {
        Self { metadata: Some(metadata), ..self }
    }
}

/// Whether an outcome became true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Committed {
    Yes,
    /// Already: the attempt before has come to its end unheard.
    Before,
    /// A person has answered or taken the conversation over meanwhile, or another worker has it.
    No,
}

impl Deps {
    /// Makes an outcome true. Where the conversation is no more this worker's, nothing is said; what thinking cost is
    /// written down all the same, and the unit goes back.
    pub(crate) async fn commit(
        &self,
        tenant: Uuid,
        lease: &Lease,
        language: Language,
        outcome: Outcome,
    ) -> Result<(), ApiError> {
        let conversation_id = lease.conversation.id;
        let mut attempt = 1;
        let committed = loop {
            match self.try_to_commit(tenant, lease, language, &outcome).await {
                Err(error) if error.is_unavailable() && attempt < ATTEMPTS => {
                    tracing::warn!(attempt, error = logging::chain(&error), "an answer could not be written yet");
                    tokio::time::sleep(PAUSE * 2_u32.pow(attempt - 1)).await;
                    attempt += 1;
                }
                ended => break ended?,
            }
        };
        match committed {
            Committed::Yes | Committed::Before => {
                let (messages, calls) = (lease.waiting.len(), outcome.calls.len());
                tracing::info!(%conversation_id, messages, calls, "answered what waited");
            }
            Committed::No => tracing::info!(%conversation_id, "not said: the conversation changed hands"),
        }
        Ok(())
    }

    async fn try_to_commit(
        &self,
        tenant: Uuid,
        lease: &Lease,
        language: Language,
        outcome: &Outcome,
    ) -> Result<Committed, ApiError> {
        self.db
            .tenant(tenant, async |tx| {
                let committed = Self::write(tx, lease, language, outcome).await?;
                if committed == Committed::No {
                    usage::record_calls(tx, Some(lease.conversation.id), "reply", &outcome.calls).await?;
                    if let Some(reservation) = outcome.spends.as_ref().or(outcome.returns.as_ref()) {
                        quota::give_back(tx, reservation).await?;
                    }
                }
                Ok(committed)
            })
            .await
    }

    /// Writes an outcome in the caller's transaction; nothing, where the conversation is no more this worker's.
    pub(crate) async fn write(
        tx: &mut TenantTx,
        lease: &Lease,
        language: Language,
        outcome: &Outcome,
    ) -> Result<Committed, ApiError> {
        let standing = conversations::hold(tx, lease).await?;
        let conversation = lease.conversation.id;
        let waiting: Vec<_> = lease.waiting.iter().map(|message| message.id).collect();
        let settled = messages::settled(tx, outcome.speech.as_ref().map(|speech| speech.id), &waiting).await?;
        match (settled, standing) {
            (Settled::ByIt, _) => return Ok(Committed::Before),
            (Settled::No, Standing::Bot) => {}
            _ => return Ok(Committed::No),
        }
        let mut used = outcome.used;
        let mut notes = outcome.notes.clone();
        if let Some(speech) = &outcome.speech {
            used.conversations = i32::from(usage::is_first_today(tx, conversation).await?);
            let greets = speech.greets && !lease.conversation.is_greeted;
            let text = if greets {
                format!("{}\n\n{}", wording::greeting(&lease.assistant, language), speech.text)
            } else {
                speech.text.clone()
            };
            notes.greeted = greets;
            let message = NewMessage {
                id: speech.id,
                citations: speech.citations.clone(),
                answered: speech.answered,
                model: speech.model.as_deref(),
                usage: speech.usage,
                ..NewMessage::plain(conversation, speech.author, &text, &waiting)
            };
            messages::write(tx, &message).await?;
            used.messages += 1;
        }
        if let Some(why) = outcome.skips {
            messages::skip(tx, &waiting, why).await?;
        }
        conversations::note(tx, conversation, &notes).await?;
        if let Some(reason) = outcome.hand_over {
            conversations::hand_over(tx, conversation, reason).await?;
        }
        if let Some(reservation) = &outcome.spends {
            quota::spend(tx, reservation).await?;
        }
        if let Some(reservation) = &outcome.returns {
            quota::give_back(tx, reservation).await?;
        }
        for (kind, title, status) in &outcome.activities {
            let metadata = outcome.metadata.clone().unwrap_or_else(|| serde_json::json!({}));
            activities::record(tx, &activity(lease, kind, title, *status).with(metadata)).await?;
        }
        usage::record_calls(tx, Some(conversation), "reply", &outcome.calls).await?;
        used.messages += i32::try_from(waiting.len()).unwrap_or(i32::MAX);
        usage::add(tx, &used.with(&outcome.calls)).await?;
        Ok(Committed::Yes)
    }
}
