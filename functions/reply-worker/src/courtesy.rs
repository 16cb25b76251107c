//! Answers to courtesies: greetings, thanks and acknowledgements, by fixed texts without a model.

use shared::{
    conversations::{
        ConversationPatch, Lease,
        courtesies::{self, Courtesy},
    },
    customer_texts,
    error::ApiError,
    messages::{self, Author, SkipReason},
    text::Language,
};
use uuid::Uuid;

use crate::{
    Deps,
    commit::{OutgoingMessage, ReplyOutcome},
    triage,
};

impl Deps {
    /// Returns the outcome of a courtesy: a fixed text, or none where there is nothing to say, as after a courtesy that
    /// was answered a moment ago. The first greeting of a day is answered always. It uses neither a model nor the quota.
    pub(crate) async fn courtesy_outcome(
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
        let (waiting, names) = (triage::pending_ids(lease), lease.assistant.identity.names());
        let texts = self
            .db
            .tenant_tx(tenant, async |tx| Ok(messages::texts_of_today(tx, lease.conversation.id, &waiting).await?))
            .await?;
        Ok(texts.iter().any(|text| courtesies::recognize(text, &names) == Some(Courtesy::Greeting)))
    }
}
