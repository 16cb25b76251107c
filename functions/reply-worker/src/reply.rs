//! Thinks of what to say. Whatever the outcome, it ends in one transaction ([`crate::commit`]), or in nothing at all.

use std::borrow::Cow;

use serde_json::{Value, json};
use shared::{
    activities::{Activity, Status},
    approved_answers::{self, ApprovedAnswer},
    conversations::{HandoverReason, Lease, Notes},
    db::TenantTx,
    error::ApiError,
    function::BoxError,
    llm::{Call, LlmError, Role, Turn, Usage},
    logging,
    messages::{self, Author, Skipped},
    orders::{self, Draft},
    quota::{self, QuotaError, Reservation, State},
    retrieval,
    text::Language,
    usage,
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    Deps, Time,
    commit::{Committed, Outcome, Speech},
    judge::{self, Verdict},
    wording,
};

/// After so many failed attempts the contact is told that there is no answer.
const LAST_ATTEMPT: u32 = 3;
/// Of what was said before, shown to a model.
const MOST_TURNS: i64 = 12;
/// Of the same, in characters: some 1,500 tokens.
const HISTORY_CHARS: usize = 6_000;

/// What was thought of.
#[derive(Debug)]
pub(crate) struct Thought {
    /// What to say.
    pub(crate) text: String,
    /// What it rests on.
    pub(crate) citations: Option<Value>,
    /// Whether the documents, or the catalogue, said so.
    pub(crate) answered: bool,
    /// Who worded it.
    pub(crate) model: String,
    /// What wording it took.
    pub(crate) usage: Usage,
    /// The proposal that it makes, if it makes one.
    pub(crate) draft: Option<Draft>,
    /// Whether a person is to take over.
    pub(crate) hands_over: bool,
}

impl Thought {
    /// The tenant's own words.
    fn approved(approved: ApprovedAnswer) -> Self {
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

/// Why nothing was thought of. The calls that were made are paid for all the same.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoThought {
    /// The model's doing.
    #[error("the model gave no answer")]
    Model(#[source] BoxError),
    /// The model declined, and would again.
    #[error("the model declined to answer")]
    Declined(#[source] LlmError),
    /// Something else's.
    #[error(transparent)]
    Other(#[from] ApiError),
}

impl NoThought {
    fn is_final(&self) -> bool {
        matches!(self, Self::Declined(_))
    }
}

impl From<LlmError> for NoThought {
    fn from(error: LlmError) -> Self {
        match error {
            LlmError::Blocked(_) => Self::Declined(error),
            LlmError::NoModel | LlmError::Failed(_) => Self::Model(error.into()),
        }
    }
}

/// What a model is shown.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) tenant: Uuid,
    pub(crate) lease: &'a Lease,
    /// All that waits, as one text.
    pub(crate) said: &'a str,
    /// The same as it is searched: with what it goes on from.
    pub(crate) standalone: Cow<'a, str>,
    pub(crate) language: Language,
    /// What was said before, the oldest first.
    pub(crate) history: &'a [Turn],
    /// When thinking must be over.
    pub(crate) deadline: Instant,
}

impl Deps {
    /// Answers what waits: commits exactly one outcome, or fails to be tried again.
    pub(crate) async fn reply(&self, tenant: Uuid, lease: &Lease, attempt: u32) -> Result<(), BoxError> {
        let language = lease.conversation.language.unwrap_or(lease.assistant.language);
        let plain = |text: &str| Outcome::say(Speech::new(Author::System, text.to_owned()));
        let outcome = match judge::judge(lease) {
            Verdict::Silence => Outcome::skip(Skipped::OptedOut),
            Verdict::OptOut => plain(wording::opted_out(language))
                .noting(Notes { opted_out: Some(true), order_draft: Some(None), ..Notes::default() })
                .telling("contact_opted_out", "A contact asked to receive no more messages", Status::Info),
            Verdict::OptIn => {
                plain(wording::opted_in(language)).noting(Notes { opted_out: Some(false), ..Notes::default() })
            }
            Verdict::Unsupported => {
                Outcome::say(Speech::greeting(Author::Bot, wording::text_only(language).to_owned()))
            }
            Verdict::HandOver(reason) => Self::handing_over(reason, language),
            Verdict::Decline => Outcome::say(Speech::new(Author::Bot, wording::declined(language).to_owned()))
                .noting(Notes { order_draft: Some(None), ..Notes::default() }),
            Verdict::Confirm(draft) => return self.confirm(tenant, lease, &draft, language).await,
            Verdict::Answer => return self.answer(tenant, lease, language, attempt).await,
        };
        self.commit(tenant, lease, language, outcome).await?;
        Ok(())
    }

    fn handing_over(reason: HandoverReason, language: Language) -> Outcome {
        let mut outcome = Outcome::say(Speech::new(Author::System, wording::handed_over(reason, language).to_owned()))
            .telling("conversation_handed_over", "A conversation waits for a person", Status::Warning);
        outcome.hand_over = Some(reason);
        outcome
    }

    /// Makes, changes or cancels the order that the contact has confirmed, with the answer, in one transaction.
    async fn confirm(&self, tenant: Uuid, lease: &Lease, draft: &Draft, language: Language) -> Result<(), BoxError> {
        let conversation = lease.conversation.id;
        self.db
            .tenant(tenant, async |tx| {
                let carried = carry_out(tx, conversation, draft, language).await?;
                let outcome = Outcome::say(Speech::new(Author::Bot, carried.text))
                    .noting(Notes { order_draft: Some(None), ..Notes::default() });
                let mut outcome = match carried.told {
                    Some((kind, title, order)) => outcome
                        .telling(kind, title, if draft.needs_review() { Status::Warning } else { Status::Success })
                        .about(json!({ "order_id": order, "needs_review": draft.needs_review() })),
                    None => outcome,
                };
                outcome.used.orders = i32::from(carried.is_new);
                match Self::write(tx, lease, language, &outcome).await? {
                    Committed::Yes | Committed::Before => Ok(()),
                    // Rolled back with the order: a person took over, or another worker did.
                    Committed::No => Err(Confirming::NotOurs),
                }
            })
            .await
            .or_else(|error| match error {
                Confirming::NotOurs => Ok(()),
                Confirming::Failed(error) => Err(error.into()),
            })
    }

    /// Takes a unit of the quota, thinks, and writes the answer.
    async fn answer(&self, tenant: Uuid, lease: &Lease, language: Language, attempt: u32) -> Result<(), BoxError> {
        let time = Time::begin(lease);
        let (owner, conversation) = (lease.assistant.owner, lease.conversation.id);
        let said = judge::said(lease);
        let reserved = self
            .db
            .tenant(tenant, async |tx| {
                let reservation = match quota::reserve(tx, owner, Some(conversation)).await {
                    Ok(reservation) => reservation,
                    Err(QuotaError::Exceeded(_) | QuotaError::PlanLimit(_)) => return Ok(None),
                    Err(QuotaError::Database(error)) => return Err(ApiError::from(error)),
                };
                Ok(Some((reservation, approved_answers::find(tx, &said).await?)))
            })
            .await?;
        let Some((reservation, approved)) = reserved else { return self.refuse(tenant, lease, language).await };
        if let Some(approved) = approved {
            let outcome = Self::answered(Thought::approved(approved), Vec::new(), reservation, language);
            self.commit(tenant, lease, language, outcome).await?;
            return Ok(());
        }
        let history = self.history(tenant, lease).await?;
        let standalone = retrieval::standalone(&said, language, &history);
        let deadline = time.thinking;
        let ask = Ask { tenant, lease, said: &said, standalone, language, history: &history, deadline };
        let mut calls = Vec::new();
        let is_live = lease.assistant.is_live && self.provider.is_a_model();
        let thought = if is_live {
            Box::pin(self.sell(&ask, &mut calls)).await
        } else {
            Box::pin(self.answer_from_documents(&ask, &mut calls)).await
        };
        let thought = match thought {
            Ok(thought) => thought,
            Err(error)
                if !error.is_final() && attempt < LAST_ATTEMPT && time.allows_another(attempt, Instant::now()) =>
            {
                // The unit stays with the conversation: the next attempt uses it.
                self.record_calls(tenant, conversation, &calls).await;
                return Err(error.into());
            }
            Err(error) => {
                tracing::error!(attempt, error = logging::chain(&error), "no answer after all attempts");
                let text = if error.is_final() { wording::will_not_answer } else { wording::failed };
                let mut outcome = Outcome::say(Speech::new(Author::System, text(language).to_owned())).telling(
                    "bot_failed",
                    "The bot could not answer a contact",
                    Status::Error,
                );
                outcome.calls = calls;
                outcome.returns = Some(reservation);
                self.commit(tenant, lease, language, outcome).await?;
                return Ok(());
            }
        };
        let outcome = Self::answered(thought, calls, reservation, language);
        self.commit(tenant, lease, language, outcome).await?;
        Ok(())
    }

    fn answered(thought: Thought, calls: Vec<Call>, reservation: Reservation, language: Language) -> Outcome {
        let quota = reservation.quota;
        let mut outcome = if thought.hands_over {
            Self::handing_over(HandoverReason::Model, language)
        } else {
            let speech = Speech {
                citations: thought.citations,
                answered: Some(thought.answered),
                model: Some(thought.model),
                usage: thought.usage,
                ..Speech::greeting(Author::Bot, thought.text)
            };
            Outcome::say(speech)
        };
        if let Some(draft) = &thought.draft {
            outcome.notes.order_draft = Some(serde_json::to_value(draft).ok());
        }
        // The last free one warns.
        match quota.state {
            State::WarnLastFree if !quota.is_pro => {
                outcome = outcome.telling("quota_last_free", "One free answer is left", Status::Warning);
            }
            State::Blocked if !quota.is_pro => {
                outcome = outcome.telling("quota_used_up", "The free answers are used up", Status::Warning);
            }
            _ => {}
        }
        outcome.used.requests = 1;
        outcome.calls = calls;
        outcome.spends = Some(reservation);
        outcome
    }

    /// No answers are left: the contact hears it once a day, and the tenant too.
    async fn refuse(&self, tenant: Uuid, lease: &Lease, language: Language) -> Result<(), BoxError> {
        let blocked = self.db.tenant(tenant, async |tx| Ok::<_, ApiError>(usage::note_blocked(tx).await?)).await?;
        let mut outcome = if lease.conversation.quota_notice_on == Some(blocked.today) {
            Outcome::skip(Skipped::Quota)
        } else {
            Outcome::say(Speech::new(Author::System, wording::no_answers_left(language).to_owned()))
                .noting(Notes { quota_notice_on: Some(blocked.today), ..Notes::default() })
        };
        if blocked.is_news {
            outcome = outcome.telling("quota_blocked", "Contacts are not answered: no answers are left", Status::Error);
        }
        self.commit(tenant, lease, language, outcome).await?;
        Ok(())
    }

    /// The last things said but for what waits, within the budget, the oldest first.
    async fn history(&self, tenant: Uuid, lease: &Lease) -> Result<Vec<Turn>, ApiError> {
        let waiting: Vec<_> = lease.waiting.iter().map(|message| message.id).collect();
        let said = self
            .db
            .tenant(tenant, async |tx| {
                Ok::<_, ApiError>(messages::history(tx, lease.conversation.id, &waiting, MOST_TURNS).await?)
            })
            .await?;
        let mut left = HISTORY_CHARS;
        let mut turns: Vec<_> = said
            .into_iter()
            .rev()
            .map_while(|said| {
                left = left.checked_sub(said.content.chars().count())?;
                let role = if said.by_contact { Role::User } else { Role::Assistant };
                Some(Turn { role, text: said.content })
            })
            .collect();
        turns.reverse();
        Ok(turns)
    }

    /// What failed calls cost is known even where the answer is not. Should the ledger be away too, only the log knows.
    async fn record_calls(&self, tenant: Uuid, conversation: Uuid, calls: &[Call]) {
        let recorded: Result<(), ApiError> = self
            .db
            .tenant(tenant, async |tx| Ok(usage::record_calls(tx, Some(conversation), "reply", calls).await?))
            .await;
        if let Err(error) = recorded {
            tracing::warn!(calls = calls.len(), error = logging::chain(&error), "calls are missing in the ledger");
        }
    }
}

/// Why a confirmation was not carried out.
#[derive(Debug, thiserror::Error)]
enum Confirming {
    #[error("the conversation is another's")]
    NotOurs,
    #[error(transparent)]
    Failed(#[from] ApiError),
}

/// What became of a confirmed proposal.
struct CarriedOut {
    text: String,
    told: Option<(&'static str, &'static str, Uuid)>,
    is_new: bool,
}

async fn carry_out(
    tx: &mut TenantTx,
    conversation: Uuid,
    draft: &Draft,
    language: Language,
) -> Result<CarriedOut, ApiError> {
    let done = |text, kind, title, order: &orders::Order| CarriedOut {
        text,
        told: Some((kind, title, order.id)),
        is_new: kind == "order_created",
    };
    let Some(order) = draft.order_id else {
        let order = orders::create(tx, conversation, draft).await?;
        let text = wording::ordered(&order, draft.needs_review(), language);
        return Ok(done(text, "order_created", "A contact has ordered", &order));
    };
    let changed = if draft.cancels {
        orders::cancel(tx, conversation, order).await?
    } else {
        orders::change(tx, conversation, order, draft).await?
    };
    Ok(match changed {
        Some(order) if draft.cancels => {
            done(wording::cancelled(&order, language), "order_cancelled", "A contact has cancelled an order", &order)
        }
        Some(order) => {
            done(wording::changed(&order, language), "order_changed", "A contact has changed an order", &order)
        }
        None => CarriedOut { text: wording::cannot_be_changed(language).to_owned(), told: None, is_new: false },
    })
}

/// An activity of the conversation.
pub(crate) fn activity(lease: &Lease, kind: &'static str, title: &'static str, status: Status) -> Activity {
    Activity::of(lease.conversation.id, kind, title, status)
}
