//! Handovers of a conversation to a person.

use shared::{
    activities::ActivityStatus, conversations::HandoverReason, customer_texts, messages::Author, tenants::Identity,
    text::Language,
};

use crate::{
    Deps,
    commit::{OutgoingMessage, ReplyOutcome},
};

impl Deps {
    /// Returns the outcome of a handover to a person.
    pub(crate) fn handover_outcome(identity: &Identity, reason: HandoverReason, language: Language) -> ReplyOutcome {
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
}
