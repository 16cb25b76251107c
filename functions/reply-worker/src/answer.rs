//! Answers to questions: reserves one answer of the quota, generates the reply in the tenant's mode, and commits it.

use shared::{
    activities::ActivityStatus,
    conversations::{FAILURE_ACTIVITY, HandoverReason, Lease},
    customer_texts,
    error::{ApiError, BoxError},
    llm::{self, ModelCall, Provider, Turn},
    logging,
    messages::{self, Author},
    quota::{QuotaState, Reservation},
    retrieval,
    tenants::Identity,
    text::Language,
    usage,
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    Deps, ReplyDeadlines,
    commit::{OutgoingMessage, ReplyOutcome},
    generation::{GeneratedReply, ReplyRequest},
    reservation::ReserveOutcome,
    triage,
};

/// Failed attempts after which the contact is told that there is no answer.
const MAX_ATTEMPTS: u32 = 3;

impl Deps {
    /// Reserves one answer of the quota, generates the reply and commits it.
    pub(crate) async fn answer(
        &self,
        tenant: Uuid,
        lease: &Lease,
        language: Language,
        attempt: u32,
    ) -> Result<(), BoxError> {
        let deadlines = ReplyDeadlines::start(lease);
        let identity = &lease.assistant.identity;
        let question = triage::question_text(lease);
        let (reservation, approved, admission) = match self.reserve(tenant, lease, &question).await? {
            ReserveOutcome::Reserved(reservation, approved, admission) => (reservation, approved, admission),
            ReserveOutcome::ContactLimit(limit) => return self.refuse_over_limit(tenant, lease, language, limit).await,
            ReserveOutcome::NoRequestLeft => return self.refuse_over_quota(tenant, lease, language).await,
        };
        let without_models;
        let deps = if admission.may_use_models {
            self
        } else {
            without_models = Self { provider: Provider::Extractive, ..self.clone() };
            &without_models
        };
        if let Some(approved) = approved {
            let generated = GeneratedReply::from_approved_answer(approved);
            let outcome = Self::answer_outcome(identity, generated, Vec::new(), reservation, language);
            self.commit(tenant, lease, language, outcome).await?;
            return Ok(());
        }
        let history = self.load_history(tenant, lease).await?;
        let standalone = retrieval::standalone_question(&question, language, &history);
        let deadline = deadlines.generation;
        let request =
            ReplyRequest { tenant, lease, question: &question, standalone, language, history: &history, deadline };
        let mut calls = Vec::new();
        let generated = match (lease.assistant.is_live, deps.provider.has_model()) {
            (true, true) => Box::pin(deps.reply_in_live_mode(&request, &mut calls)).await,
            (true, false) => Box::pin(deps.quote_catalogue(&request, &mut calls)).await,
            (false, _) => Box::pin(deps.answer_from_documents(&request, &mut calls)).await,
        };
        let generated = match generated {
            Ok(generated) => with_unread_notice(generated, lease, language),
            Err(error)
                if !error.is_permanent()
                    && attempt < MAX_ATTEMPTS
                    && deadlines.allows_retry(attempt, Instant::now()) =>
            {
                // The reservation stays with the conversation: the next attempt uses it.
                self.record_calls(tenant, lease.conversation.id, &calls).await;
                return Err(error.into());
            }
            Err(error) => {
                tracing::error!(attempt, error = logging::chain(&error), "no answer after all attempts");
                let text = if error.is_permanent() { customer_texts::will_not_answer } else { customer_texts::failed };
                let (kind, title, status) = FAILURE_ACTIVITY;
                let mut outcome = ReplyOutcome::send(OutgoingMessage::new(Author::System, text(language).to_owned()))
                    .with_activity(kind, title, status);
                outcome.calls = calls;
                outcome.refund = Some(reservation);
                self.commit(tenant, lease, language, outcome).await?;
                return Ok(());
            }
        };
        let outcome = Self::answer_outcome(identity, generated, calls, reservation, language);
        self.commit(tenant, lease, language, outcome).await?;
        Ok(())
    }

    /// Returns the outcome for a generated reply.
    fn answer_outcome(
        identity: &Identity,
        generated: GeneratedReply,
        calls: Vec<ModelCall>,
        reservation: Reservation,
        language: Language,
    ) -> ReplyOutcome {
        let quota = reservation.quota;
        let mut draft = generated.draft;
        let mut outcome = if generated.hands_over {
            Self::handover_outcome(identity, HandoverReason::Model, language)
        } else {
            let message = OutgoingMessage {
                citations: generated.citations,
                answered: Some(generated.answered),
                model: Some(generated.model),
                usage: generated.usage,
                ..OutgoingMessage::with_greeting(Author::Bot, generated.text)
            };
            if let Some(draft) = &mut draft {
                draft.message_id = Some(message.id);
            }
            ReplyOutcome::send(message)
        };
        if let Some(draft) = &draft {
            outcome.patch.order_draft = Some(serde_json::to_value(draft).ok());
        }
        // The tenant is warned at the last free answer.
        match quota.state {
            QuotaState::WarnLastFree if !quota.is_pro => {
                outcome = outcome.with_activity("quota_last_free", "One free answer is left", ActivityStatus::Warning);
            }
            QuotaState::Blocked if !quota.is_pro => {
                outcome =
                    outcome.with_activity("quota_used_up", "The free answers are used up", ActivityStatus::Warning);
            }
            _ => {}
        }
        outcome.used.requests = 1;
        outcome.calls = calls;
        outcome.charge = Some(reservation);
        outcome
    }

    /// Loads the earlier messages without the pending ones, as many as fit a prompt, oldest first.
    async fn load_history(&self, tenant: Uuid, lease: &Lease) -> Result<Vec<Turn>, ApiError> {
        let waiting = triage::pending_ids(lease);
        let history = self
            .db
            .tenant_tx(tenant, async |tx| Ok(messages::history(tx, lease.conversation.id, &waiting).await?))
            .await?;
        Ok(llm::fit_history(&history).to_vec())
    }

    /// Records the model calls of a failed attempt in the ledger. When that fails too, the error is only logged.
    async fn record_calls(&self, tenant: Uuid, conversation: Uuid, calls: &[ModelCall]) {
        let recorded: Result<(), ApiError> = self
            .db
            .tenant_tx(tenant, async |tx| Ok(usage::record_calls(tx, Some(conversation), "reply", calls).await?))
            .await;
        if let Err(error) = recorded {
            tracing::warn!(calls = calls.len(), error = logging::chain(&error), "calls are missing in the ledger");
        }
    }
}

/// Adds to a reply that voice messages or pictures among the pending messages were not read.
fn with_unread_notice(mut generated: GeneratedReply, lease: &Lease, language: Language) -> GeneratedReply {
    let mut kinds = triage::unread_kinds(lease).peekable();
    if kinds.peek().is_some() && !generated.hands_over {
        let is_voice = kinds.any(|kind| ["audio", "voice"].contains(&kind));
        generated.text = format!("{}\n\n{}", generated.text, customer_texts::partly_unread(is_voice, language));
    }
    generated
}
