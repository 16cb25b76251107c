//! Opt-outs of contacts: STOP and START, obeyed and confirmed in the transaction that stores the message. So they count
//! at once, also while a worker answers and while a person has the conversation. Owns no table.

use crate::{
    activities::{self, Activity, ActivityStatus},
    conversations::{self, HandoverReason, ReceiveOutcome, keywords},
    customer_texts,
    db::TenantTx,
    manychat::inbound::InboundMessage,
    messages::{self, Author, NewMessage, SkipReason},
    usage::{self, UsageDelta},
};

/// Stores an incoming message like [`conversations::receive`]. A message that asks to stop opts the contact out, one
/// that asks to resume opts the contact in again, and both are confirmed to the contact. An answer that a worker is
/// generating, or has partly sent, is not sent further. A command that the contact wrote before the last one that
/// counted changes nothing.
///
/// # Errors
/// A database error.
pub async fn receive(tx: &mut TenantTx, message: &InboundMessage) -> sqlx::Result<ReceiveOutcome> {
    let received = conversations::receive(tx, message).await?;
    let Some(id) = received.message_id else { return Ok(received) };
    let stops = keywords::asks_to_stop(&message.text);
    if !stops && !keywords::asks_to_resume(&message.text) {
        return Ok(received);
    }
    let conversation = received.conversation_id;
    if !conversations::set_opted_out(tx, conversation, stops, message.interacted_at).await? {
        messages::skip(tx, &[id], SkipReason::Superseded).await?;
        return Ok(received);
    }
    if !stops && !received.is_opted_out {
        // Nothing to resume: the word is answered like any other.
        return Ok(received);
    }
    let language = conversations::language(tx, conversation).await?;
    let erases = stops && keywords::asks_for_erasure(&message.text);
    let text = match (stops, erases) {
        (true, true) => customer_texts::opted_out_and_erasure_requested(language),
        (true, false) => customer_texts::opted_out(language),
        (false, _) => customer_texts::opted_in(language),
    };
    let conversations = i32::from(usage::has_no_outbound_today(tx, conversation).await?);
    messages::write(tx, &NewMessage::without_model(conversation, Author::System, text, &[id])).await?;
    let handovers = i32::from(erases);
    usage::add(tx, &UsageDelta { conversations, messages: 2, handovers, ..UsageDelta::default() }).await?;
    if stops && !received.is_opted_out {
        let title = "A contact asked to receive no more messages";
        let activity = Activity::for_conversation(conversation, "contact_opted_out", title, ActivityStatus::Info);
        activities::record(tx, &activity).await?;
    }
    if erases {
        // Only a person can tell what the law lets the company keep.
        conversations::hand_over(tx, conversation, HandoverReason::Keyword).await?;
        let title = "A contact asked to erase its data";
        let activity = Activity::for_conversation(conversation, "erasure_requested", title, ActivityStatus::Warning);
        activities::record(tx, &activity).await?;
    }
    Ok(received)
}
