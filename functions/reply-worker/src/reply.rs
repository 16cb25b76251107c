//! The reply to the pending messages of a conversation. Each reply ends in exactly one committed outcome
//! ([`crate::commit`]), or fails without one and is tried again.

use std::borrow::Cow;

use serde_json::{Value, json};
use shared::{
    activities::{Activity, ActivityStatus},
    approved_answers::{self, ApprovedAnswer},
    conversations::{
        self, ConversationPatch, FAILURE_ACTIVITY, HandoverReason, Lease, ReachedLimit,
        courtesies::{self, Courtesy},
    },
    customer_texts,
    db::TenantTx,
    error::{ApiError, BoxError},
    jobs,
    llm::{self, LlmError, ModelCall, Provider, Turn, Usage},
    logging,
    messages::{self, Author, SkipReason},
    notices,
    orders::{self, OrderDraft},
    quota::{self, QuotaError, QuotaState, Reservation},
    retrieval,
    tenants::Identity,
    text::Language,
    unconfirmed::{Admission, AdmissionError},
    usage, webhook_endpoints,
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    Deps, ReplyDeadlines,
    commit::{CommitStatus, OutgoingMessage, ReplyOutcome},
    triage::{self, Action},
};

/// Failed attempts after which the contact is told that there is no answer.
const MAX_ATTEMPTS: u32 = 3;

/// A generated reply.
#[derive(Debug)]
pub(crate) struct GeneratedReply {
    /// The text for the contact.
    pub(crate) text: String,
    /// The answer's citations, as JSON.
    pub(crate) citations: Option<Value>,
    /// True when the answer comes from the documents or the catalogue.
    pub(crate) answered: bool,
    /// The model that generated the text.
    pub(crate) model: String,
    /// Tokens used.
    pub(crate) usage: Usage,
    /// The order draft that the text proposes, if any.
    pub(crate) draft: Option<OrderDraft>,
    /// True when the model hands the conversation over to a person.
    pub(crate) hands_over: bool,
}

impl GeneratedReply {
    /// Creates the reply from an answer that the tenant approved.
    fn from_approved_answer(approved: ApprovedAnswer) -> Self {
        Self {
            text: approved.answer,
            citations: Some(json!([])),
            answered: true,
            model: approved_answers::MODEL.to_owned(),
            usage: Usage::default(),
            draft: None,
            hands_over: false,
        }
    }
}

/// The result of a reservation.
enum ReserveOutcome {
    /// One request of the quota is reserved. Holds the approved answer to the question, if there is one, and the
    /// admission, which says whether models may be used.
    Reserved(Reservation, Option<ApprovedAnswer>, Admission),
    /// The contact has got as many answers as a contact may get.
    ContactLimit(ReachedLimit),
    /// The tenant has no answer left.
    NoRequestLeft,
}

/// The reason for which a reservation is rolled back.
enum ReserveRefusal {
    /// A limit is reached.
    Refused(ReserveOutcome),
    /// A statement failed.
    Failed(ApiError),
}

impl From<ApiError> for ReserveRefusal {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

/// The error of a generation. The model calls that were made cost nevertheless, and are recorded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplyError {
    /// The model, or the embedding model, failed.
    #[error("the model gave no answer")]
    Model(#[source] BoxError),
    /// The model declined to answer, and would decline again.
    #[error("the model declined to answer")]
    Declined(#[source] LlmError),
    /// Another error.
    #[error(transparent)]
    Other(#[from] ApiError),
}

impl ReplyError {
    fn is_permanent(&self) -> bool {
        matches!(self, Self::Declined(_))
    }
}

impl From<LlmError> for ReplyError {
    fn from(error: LlmError) -> Self {
        match error {
            LlmError::Blocked(_) => Self::Declined(error),
            LlmError::NoModel | LlmError::Failed(_) => Self::Model(error.into()),
        }
    }
}

/// The input of a generation.
#[derive(Debug)]
pub(crate) struct ReplyRequest<'a> {
    pub(crate) tenant: Uuid,
    pub(crate) lease: &'a Lease,
    /// The pending messages as one text.
    pub(crate) question: &'a str,
    /// The standalone question for retrieval: a follow-up question together with the earlier one.
    pub(crate) standalone: Cow<'a, str>,
    pub(crate) language: Language,
    /// Earlier messages, oldest first.
    pub(crate) history: &'a [Turn],
    /// Deadline of the generation.
    pub(crate) deadline: Instant,
}

impl Deps {
    /// Replies to the pending messages: commits exactly one outcome, or fails and is tried again.
    pub(crate) async fn reply(&self, tenant: Uuid, lease: &Lease, attempt: u32) -> Result<(), BoxError> {
        if lease.assistant.manychat_key.is_none() {
            return self.keep_without_key(tenant, lease).await;
        }
        let language = lease.conversation.language.unwrap_or(lease.assistant.identity.language);
        let outcome = match triage::decide(lease) {
            Action::Silence => ReplyOutcome::skip(SkipReason::OptedOut),
            Action::Unsupported => ReplyOutcome::send(OutgoingMessage::with_greeting(
                Author::Bot,
                match triage::valid_draft(lease) {
                    Some(draft) => customer_texts::text_only_at_proposal(draft.cancels, language),
                    None => customer_texts::text_only(language).to_owned(),
                },
            )),
            Action::HandOver(reason) => Self::handover_outcome(&lease.assistant.identity, reason, language),
            Action::DiscardDraft(draft) => ReplyOutcome::send(OutgoingMessage::new(
                Author::Bot,
                customer_texts::draft_discarded(&draft, language).to_owned(),
            )),
            Action::Courtesy(courtesy) => self.courtesy_outcome(tenant, lease, courtesy, language).await?,
            Action::AlreadyOptedIn => ReplyOutcome::send(OutgoingMessage::with_greeting(
                Author::Bot,
                customer_texts::already_opted_in(language).to_owned(),
            )),
            Action::CancelOrder => match self.cancellation_outcome(tenant, lease, language).await? {
                Some(outcome) => outcome,
                None => return self.answer(tenant, lease, language, attempt).await,
            },
            Action::ConfirmDraft(draft) => return self.confirm(tenant, lease, &draft, language).await,
            Action::Answer => return self.answer(tenant, lease, language, attempt).await,
        };
        self.commit(tenant, lease, language, outcome).await?;
        Ok(())
    }

    /// Leaves the pending messages without an answer, because none could be sent: no model is called, and nothing is charged.
    /// The conversation shows that they wait, and the tenant is told once a day. They are answered when the tenant has
    /// connected ManyChat ([`conversations::queue_waiting`]), or when the contact writes again.
    async fn keep_without_key(&self, tenant: Uuid, lease: &Lease) -> Result<(), BoxError> {
        let activity = Activity::for_conversation(
            lease.conversation.id,
            "manychat_key_missing",
            "Contacts are not answered: the company has no ManyChat key",
            ActivityStatus::Error,
        );
        self.db.tenant_tx(tenant, async |tx| Ok(notices::record_once_a_day(tx, &activity).await?)).await?;
        Ok(())
    }

    /// Returns the outcome of a courtesy: a fixed text, or none where there is nothing to say, as after a courtesy that
    /// was answered a moment ago. The first greeting of a day is answered always. It uses neither a model nor the quota.
    async fn courtesy_outcome(
        &self,
        tenant: Uuid,
        lease: &Lease,
        courtesy: Courtesy,
        language: Language,
    ) -> Result<ReplyOutcome, ApiError> {
        let is_first_greeting = courtesy == Courtesy::Greeting && !lease.conversation.is_greeted;
        if let Some(draft) = triage::valid_draft(lease).filter(|_| courtesy != Courtesy::Identity) {
            let text = customer_texts::proposal_ended(draft.cancels, language);
            return Ok(ReplyOutcome::send(OutgoingMessage::new(Author::Bot, text.to_owned())));
        }
        let is_repeated = match courtesy {
            Courtesy::Greeting if triage::repeats_a_courtesy(lease, courtesies::REPEAT_WINDOW) => {
                self.has_greeted_today(tenant, lease).await?
            }
            Courtesy::Attention | Courtesy::Number | Courtesy::Identity => {
                triage::repeats_a_courtesy(lease, courtesies::REPEAT_WINDOW_OF_CALLS)
            }
            _ => triage::repeats_a_courtesy(lease, courtesies::REPEAT_WINDOW),
        };
        let text = if is_repeated {
            None
        } else if is_first_greeting {
            let takes_orders = lease.assistant.is_live && self.provider.has_model();
            Some(customer_texts::welcome(&lease.assistant.identity, takes_orders, language))
        } else {
            customer_texts::courtesy(courtesy, language).map(str::to_owned)
        };
        let Some(text) = text else { return Ok(ReplyOutcome::skip(SkipReason::Courtesy)) };
        let model = Some(courtesies::MODEL.to_owned());
        Ok(ReplyOutcome::send(OutgoingMessage { model, ..OutgoingMessage::new(Author::Bot, text) })
            .with_patch(ConversationPatch { greeted: is_first_greeting, ..ConversationPatch::default() }))
    }

    /// Returns true when the contact has greeted before on the present day, without the pending messages.
    async fn has_greeted_today(&self, tenant: Uuid, lease: &Lease) -> Result<bool, ApiError> {
        let (waiting, names) = (pending_ids(lease), lease.assistant.identity.names());
        let texts = self
            .db
            .tenant_tx(tenant, async |tx| Ok(messages::texts_of_today(tx, lease.conversation.id, &waiting).await?))
            .await?;
        Ok(texts.iter().any(|text| courtesies::recognize(text, &names) == Some(Courtesy::Greeting)))
    }

    /// Returns the outcome of a wish to cancel, which no model reads: the question whether the contact means it. When there
    /// is no order that can still be cancelled, a shop says so, and an assistant that only answers questions looks the
    /// wish up in the documents (`None`). An order that is being prepared is a person's matter.
    async fn cancellation_outcome(
        &self,
        tenant: Uuid,
        lease: &Lease,
        language: Language,
    ) -> Result<Option<ReplyOutcome>, ApiError> {
        let conversation = lease.conversation.id;
        let (order, is_in_preparation) = self
            .db
            .tenant_tx(tenant, async |tx| {
                let order = orders::find_changeable(tx, conversation).await?;
                Ok((order, orders::is_in_preparation(tx, conversation).await?))
            })
            .await?;
        let Some(order) = order else {
            if is_in_preparation {
                return Ok(Some(Self::handover_outcome(&lease.assistant.identity, HandoverReason::Keyword, language)));
            }
            let none = || OutgoingMessage::new(Author::Bot, customer_texts::cannot_be_changed(language).to_owned());
            return Ok(lease.assistant.is_live.then(|| ReplyOutcome::send(none())));
        };
        let mut draft = OrderDraft::cancellation(&order, lease.now);
        let message = OutgoingMessage::new(Author::Bot, customer_texts::proposal(&draft, language));
        draft.message_id = Some(message.id);
        let order_draft = Some(serde_json::to_value(&draft).ok());
        let patch = ConversationPatch { order_draft, ..ConversationPatch::default() };
        Ok(Some(ReplyOutcome::send(message).with_patch(patch)))
    }

    /// Returns the outcome of a handover to a person.
    fn handover_outcome(identity: &Identity, reason: HandoverReason, language: Language) -> ReplyOutcome {
        let mut outcome = ReplyOutcome::send(OutgoingMessage::new(
            Author::System,
            customer_texts::handed_over(identity, reason, language),
        ))
        .with_activity(
            "conversation_handed_over",
            "A conversation waits for a person",
            ActivityStatus::Warning,
        );
        outcome.hand_over = Some(reason);
        outcome
    }

    /// Creates, changes or cancels the order of the draft that the contact confirmed, and writes the answer, in one
    /// transaction.
    async fn confirm(
        &self,
        tenant: Uuid,
        lease: &Lease,
        draft: &OrderDraft,
        language: Language,
    ) -> Result<(), BoxError> {
        let conversation = lease.conversation.id;
        let confirmed = self
            .db
            .tenant_tx_with_error(tenant, async |tx| {
                conversations::lock(tx, conversation).await.map_err(ApiError::from)?;
                let executed = execute_draft(tx, conversation, draft, language).await?;
                let outcome = ReplyOutcome::send(OutgoingMessage::new(Author::Bot, executed.text));
                let mut outcome = match executed.activity {
                    Some((kind, title, order)) => outcome
                        .with_activity(
                            kind,
                            title,
                            if draft.needs_review() { ActivityStatus::Warning } else { ActivityStatus::Success },
                        )
                        .with_metadata(json!({ "order_id": order, "needs_review": draft.needs_review() })),
                    None => outcome,
                };
                outcome.used.orders = i32::from(executed.is_new);
                match Self::write_outcome(tx, lease, language, &outcome).await? {
                    CommitStatus::Committed | CommitStatus::AlreadyCommitted => {
                        Ok(jobs::webhook_messages(tx).await.map_err(ApiError::from)?)
                    }
                    // The error rolls the order back too: a person or another worker has the conversation.
                    CommitStatus::Discarded => Err(ConfirmError::LeaseLost),
                }
            })
            .await;
        match confirmed {
            Ok(messages) => webhook_endpoints::wake_worker(&self.webhook_queue, &messages).await,
            Err(ConfirmError::LeaseLost) => {}
            Err(ConfirmError::Failed(error)) => return Err(error.into()),
        }
        Ok(())
    }

    /// Reserves one answer of the quota, generates the reply and commits it.
    async fn answer(&self, tenant: Uuid, lease: &Lease, language: Language, attempt: u32) -> Result<(), BoxError> {
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

    /// Reserves one answer of the quota, looks for an approved answer, counts the answer of the contact, and admits the
    /// use of models, which an approved answer does not need. The day's requests of unconfirmed accounts can be used up,
    /// too. An attempt that finds the reservation of an earlier one counts nothing again. What is refused leaves no
    /// reservation, which would count in the account's share of that day.
    async fn reserve(&self, tenant: Uuid, lease: &Lease, question: &str) -> Result<ReserveOutcome, ApiError> {
        let conversation = lease.conversation.id;
        let costs = self.provider.has_model() || !self.embedders.current().is_local();
        let reserved = self.db.tenant_tx_with_error(tenant, async |tx| {
            conversations::lock(tx, conversation).await.map_err(ApiError::from)?;
            let reservation = match quota::reserve(tx, Some(conversation)).await {
                Ok(reservation) => reservation,
                Err(QuotaError::Exceeded(_) | QuotaError::PlanLimit(_)) => {
                    return Ok(ReserveOutcome::NoRequestLeft);
                }
                Err(error @ (QuotaError::PlanChanged | QuotaError::Database(_))) => {
                    return Err(ApiError::from(error).into());
                }
            };
            let approved = approved_answers::find(tx, question).await.map_err(ApiError::from)?;
            if reservation.is_resumed {
                let may_use_models = self.unconfirmed.models_allowed(tx).await.map_err(ApiError::from)?;
                return Ok(ReserveOutcome::Reserved(reservation, approved, Admission { may_use_models }));
            }
            let counted = conversations::count_answer(tx, conversation, self.contact_limits).await;
            if let Some(limit) = counted.map_err(ApiError::from)? {
                return Err(ReserveRefusal::Refused(ReserveOutcome::ContactLimit(limit)));
            }
            match self.unconfirmed.admit(tx, costs && approved.is_none()).await {
                Ok(admission) => Ok(ReserveOutcome::Reserved(reservation, approved, admission)),
                Err(AdmissionError::BudgetUsedUp | AdmissionError::ShareUsedUp) => {
                    Err(ReserveRefusal::Refused(ReserveOutcome::NoRequestLeft))
                }
                Err(AdmissionError::Database(error)) => Err(ApiError::from(error).into()),
            }
        });
        match reserved.await {
            Ok(outcome) | Err(ReserveRefusal::Refused(outcome)) => Ok(outcome),
            Err(ReserveRefusal::Failed(error)) => Err(error),
        }
    }

    /// Commits the outcome for a contact that writes too much: it is told once a day, and the tenant with it.
    async fn refuse_over_limit(
        &self,
        tenant: Uuid,
        lease: &Lease,
        language: Language,
        limit: ReachedLimit,
    ) -> Result<(), BoxError> {
        let outcome = if limit.is_told {
            ReplyOutcome::skip(SkipReason::Quota)
        } else {
            let text = customer_texts::too_many_messages(limit.is_daily, language);
            ReplyOutcome::send(OutgoingMessage::new(Author::System, text.to_owned()))
                .with_patch(ConversationPatch { limit_notice_on: Some(limit.today), ..ConversationPatch::default() })
                .with_activity(
                    "contact_limited",
                    "A contact writes more than is answered: a person may take over",
                    ActivityStatus::Warning,
                )
        };
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

    /// Commits the outcome for a used-up quota: the contact and the tenant are told once a day.
    async fn refuse_over_quota(&self, tenant: Uuid, lease: &Lease, language: Language) -> Result<(), BoxError> {
        let blocked = self.db.tenant_tx(tenant, async |tx| Ok(usage::record_quota_notice(tx).await?)).await?;
        let mut outcome = if lease.conversation.quota_notice_on == Some(blocked.today) {
            ReplyOutcome::skip(SkipReason::Quota)
        } else {
            // The question stays without an answer: it is listed, and answered when a plan is bought soon.
            ReplyOutcome::send_and_skip(
                OutgoingMessage::new(Author::System, customer_texts::no_answers_left(language).to_owned()),
                SkipReason::Quota,
            )
            .with_patch(ConversationPatch { quota_notice_on: Some(blocked.today), ..ConversationPatch::default() })
            .with_activity(
                "contact_not_answered",
                "A contact waits: no answers are left",
                ActivityStatus::Warning,
            )
        };
        if blocked.is_news {
            outcome = outcome.with_activity(
                "quota_blocked",
                "Contacts are not answered: no answers are left",
                ActivityStatus::Error,
            );
        }
        self.commit(tenant, lease, language, outcome).await?;
        Ok(())
    }

    /// Loads the earlier messages without the pending ones, as many as fit a prompt, oldest first.
    async fn load_history(&self, tenant: Uuid, lease: &Lease) -> Result<Vec<Turn>, ApiError> {
        let waiting = pending_ids(lease);
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

fn pending_ids(lease: &Lease) -> Vec<Uuid> {
    lease.pending.iter().map(|message| message.id).collect()
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

/// The error of a confirmation.
#[derive(Debug, thiserror::Error)]
enum ConfirmError {
    #[error("the lease of the conversation was lost")]
    LeaseLost,
    #[error(transparent)]
    Failed(#[from] ApiError),
}

/// The result of a confirmed draft.
struct ExecutedDraft {
    text: String,
    /// Type and title of the activity, and the order's id.
    activity: Option<(&'static str, &'static str, Uuid)>,
    /// True when an order was created.
    is_new: bool,
}

/// Creates, changes or cancels the order of a draft.
async fn execute_draft(
    tx: &mut TenantTx,
    conversation: Uuid,
    draft: &OrderDraft,
    language: Language,
) -> Result<ExecutedDraft, ApiError> {
    let done = |text, kind, title, order: &orders::Order| ExecutedDraft {
        text,
        activity: Some((kind, title, order.id)),
        is_new: kind == "order_created",
    };
    let Some(order) = draft.order_id else {
        let order = orders::create(tx, conversation, draft).await?;
        let text = customer_texts::ordered(&order, draft.needs_review(), language);
        return Ok(done(text, "order_created", "A contact has ordered", &order));
    };
    let changed = if draft.cancels {
        orders::cancel(tx, conversation, order).await?
    } else {
        orders::change(tx, conversation, order, draft).await?
    };
    Ok(match changed {
        Some(order) if draft.cancels => done(
            customer_texts::cancelled(&order, language),
            "order_cancelled",
            "A contact has cancelled an order",
            &order,
        ),
        Some(order) => {
            done(customer_texts::changed(&order, language), "order_changed", "A contact has changed an order", &order)
        }
        None => ExecutedDraft {
            text: customer_texts::cannot_be_changed(language).to_owned(),
            activity: None,
            is_new: false,
        },
    })
}
