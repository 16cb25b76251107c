//! The reply to the pending messages of a conversation. Each reply ends in exactly one committed outcome
//! ([`crate::commit`]), or fails without one and is tried again.

use shared::{
    activities::{Activity, ActivityStatus},
    conversations::Lease,
    customer_texts,
    error::BoxError,
    messages::{Author, SkipReason},
    notices,
};
use uuid::Uuid;

use crate::{
    Deps,
    commit::{OutgoingMessage, ReplyOutcome},
    triage::{self, Action},
};

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
    /// connected ManyChat ([`shared::conversations::queue_waiting`]), or when the contact writes again.
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
}
