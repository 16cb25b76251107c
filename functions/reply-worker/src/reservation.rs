//! Reservation of one answer of the quota, and what the contact is told when there is none for it.

use shared::{
    activities::ActivityStatus,
    approved_answers::{self, ApprovedAnswer},
    conversations::{self, ConversationPatch, Lease, ReachedLimit},
    customer_texts,
    error::{ApiError, BoxError},
    messages::{Author, SkipReason},
    quota::{self, QuotaError, Reservation},
    text::Language,
    unconfirmed::{Admission, AdmissionError},
    usage,
};
use uuid::Uuid;

use crate::{
    Deps,
    commit::{OutgoingMessage, ReplyOutcome},
};

/// The result of a reservation.
pub(crate) enum ReserveOutcome {
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

impl Deps {
    /// Reserves one answer of the quota, looks for an approved answer, counts the answer of the contact, and admits the
    /// use of models, which an approved answer does not need. The day's requests of unconfirmed accounts can be used up,
    /// too. An attempt that finds the reservation of an earlier one counts nothing again. What is refused leaves no
    /// reservation, which would count in the account's share of that day.
    pub(crate) async fn reserve(
        &self,
        tenant: Uuid,
        lease: &Lease,
        question: &str,
    ) -> Result<ReserveOutcome, ApiError> {
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
    pub(crate) async fn refuse_over_limit(
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

    /// Commits the outcome for a used-up quota: the contact and the tenant are told once a day.
    pub(crate) async fn refuse_over_quota(
        &self,
        tenant: Uuid,
        lease: &Lease,
        language: Language,
    ) -> Result<(), BoxError> {
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
}
