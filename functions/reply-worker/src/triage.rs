//! Triage of the pending messages before any model is called: fixed rules, in the order of their priority, choose the
//! next [`Action`].

use chrono::{Datelike, NaiveDateTime, NaiveTime, TimeDelta};
use serde_json::Value;
use shared::{
    conversations::{
        HandoverReason, Lease,
        courtesies::{self, Courtesy},
        keywords,
    },
    messages::{self, LastOutbound, PendingMessage},
    orders::OrderDraft,
};
use uuid::Uuid;

/// Time for which a proposed draft can be confirmed. It is the time for which WhatsApp lets the company answer a
/// contact freely: after it, a contact begins anew, and prices may have changed.
const DRAFT_TTL: TimeDelta = TimeDelta::hours(24);
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The action that the pending messages require.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// The contact has opted out: answer nothing.
    Silence,
    /// No message has a text: explain that only texts are read.
    Unsupported,
    /// Hand over to a person.
    HandOver(HandoverReason),
    /// The contact says yes to the draft: carry it out.
    ConfirmDraft(Box<OrderDraft>),
    /// The contact says no to the draft: drop it.
    DiscardDraft(Box<OrderDraft>),
    /// The contact asks to cancel an order: ask again, if there is one.
    CancelOrder,
    /// The contact asks to receive messages, and receives them already.
    AlreadyOptedIn,
    /// The contact greets, thanks or acknowledges: a fixed text or none.
    Courtesy(Courtesy),
    /// Generate an answer.
    Answer,
}

/// Returns the action for the pending messages of a lease.
pub(crate) fn decide(lease: &Lease) -> Action {
    let texts: Vec<_> = lease.pending.iter().map(|message| message.content.as_str()).collect();
    let assistant = &lease.assistant;
    let text = pending_text(lease);
    // A person has seen the messages from before the conversation went back to the bot: they cause no second
    // handover.
    let unseen = || lease.pending.iter().filter(|message| lease.conversation.released_at < Some(message.created_at));
    let draft = valid_draft(lease);
    let courtesy = recognize_courtesy(lease, &text)
        .filter(|_| draft.is_some() || !answers_a_question(lease, &text))
        // "2" is a quantity, where one was asked for or an order was proposed.
        .filter(|courtesy| *courtesy != Courtesy::Number || !follows_the_model(lease));
    let is_for_the_bot = courtesy == Some(Courtesy::Identity) && !lease.conversation.is_opted_out;
    let asks_for_a_person =
        unseen().any(|message| keywords::asks_for_a_person(&message.content, &assistant.handover_keywords));
    // A contact who has opted out and asks for a person has written first, and is answered. STOP and START were obeyed
    // when they came in.
    if asks_for_a_person && !is_for_the_bot {
        return Action::HandOver(HandoverReason::Keyword);
    }
    if lease.conversation.is_opted_out {
        return Action::Silence;
    }
    let reply = draft.filter(|_| !text.is_empty()).and_then(|draft| reply_to_draft(draft, &text, &texts));
    // A voice message beside the yes may say something else, and nobody has heard it. A picture is mostly one of a
    // payment.
    let is_partly_unheard = lease.pending.iter().any(PendingMessage::is_unheard);
    let is_reply = reply.is_some();
    if let Some(reply) = reply.filter(|_| !is_partly_unheard) {
        return reply;
    }
    // A picture with a "merci" is no mere courtesy.
    let is_partly_unread = lease.pending.iter().any(|message| message.attachment.is_some());
    if text.is_empty() || is_reply || (courtesy.is_some() && is_partly_unread) {
        let hands_over = assistant.hands_over_unsupported && unseen().next().is_some();
        return if hands_over { Action::HandOver(HandoverReason::Unsupported) } else { Action::Unsupported };
    }
    if let Some(courtesy) = courtesy {
        return Action::Courtesy(courtesy);
    }
    if keywords::asks_to_resume(&text) && !follows_the_model(lease) {
        return Action::AlreadyOptedIn;
    }
    if keywords::asks_to_cancel(&text) {
        return Action::CancelOrder;
    }
    let is_closed = !is_open(assistant.business_hours.as_ref(), lease.local_now);
    if assistant.hands_over_outside_hours && is_closed && unseen().next().is_some() {
        return Action::HandOver(HandoverReason::OutsideHours);
    }
    Action::Answer
}

/// Returns the action for messages that answer the proposal of an order with yes or no. The yes or no may be one message,
/// or spread over several.
fn reply_to_draft(draft: OrderDraft, text: &str, texts: &[&str]) -> Option<Action> {
    let all_match = |matches: fn(&str) -> bool| {
        matches(text) || texts.iter().filter(|text| !text.is_empty()).all(|text| matches(text))
    };
    let is_yes: fn(&str) -> bool = if draft.cancels { keywords::confirms_cancellation } else { keywords::is_yes };
    let is_no: fn(&str) -> bool = if draft.cancels { keywords::declines_cancellation } else { keywords::is_no };
    if all_match(is_yes) {
        Some(Action::ConfirmDraft(Box::new(draft)))
    } else if all_match(is_no) {
        Some(Action::DiscardDraft(Box::new(draft)))
    } else {
        None
    }
}

/// Returns the courtesy that the messages are. A bare yes or no is one when nothing was proposed or asked.
fn recognize_courtesy(lease: &Lease, text: &str) -> Option<Courtesy> {
    let is_void = || keywords::is_bare_answer(text) && !is_something_proposed(lease);
    courtesies::recognize(text, &lease.assistant.identity.names())
        .or_else(|| is_void().then_some(Courtesy::Acknowledgement))
}

/// Returns true when a yes may be meant for something: a draft, also one that has ended, or in LIVE mode a question or any
/// text of the bot, which may propose without a question mark. A contact who has refused an order may change its mind.
fn is_something_proposed(lease: &Lease) -> bool {
    let proposes = |last: &LastOutbound| {
        last.model.as_deref() != Some(courtesies::MODEL) && (last.is_question || last.is_from_bot)
    };
    stored_draft(lease).is_some() || (lease.assistant.is_live && lease.last_outbound.as_ref().is_some_and(proposes))
}

/// Returns true when a courtesy that accepts ("OK", "d’accord merci") answers a question of the bot, and the model has
/// to go on with the sale.
fn answers_a_question(lease: &Lease, text: &str) -> bool {
    let is_asked = |last: &LastOutbound| {
        let is_proposal = stored_draft(lease).is_some_and(|draft| draft.message_id == Some(last.id));
        (last.is_question || is_proposal) && last.model.as_deref() != Some(courtesies::MODEL)
    };
    courtesies::accepts(text, &lease.assistant.identity.names())
        && lease.assistant.is_live
        && lease.replies_to_last_outbound()
        && lease.last_outbound.as_ref().is_some_and(is_asked)
}

/// Returns true in LIVE mode when the pending messages reply to a text of the model, so that the model continues the
/// sale.
fn follows_the_model(lease: &Lease) -> bool {
    let is_of_model = |last: &LastOutbound| last.model.as_deref().is_some_and(|model| model != courtesies::MODEL);
    lease.assistant.is_live
        && lease.replies_to_last_outbound()
        && lease.last_outbound.as_ref().is_some_and(|last| is_of_model(last) || last.is_question)
}

/// Returns true when a courtesy was answered last, within this time: another one needs no answer.
pub(crate) fn repeats_a_courtesy(lease: &Lease, window: TimeDelta) -> bool {
    lease
        .last_outbound
        .as_ref()
        .is_some_and(|last| last.model.as_deref() == Some(courtesies::MODEL) && lease.now - last.created_at < window)
}

/// Returns the question of the pending messages as one text, a message a line. Courtesies among them do not belong to it:
/// "Bonjour", "merci". A question mark on its own belongs to the message before it.
pub(crate) fn question_text(lease: &Lease) -> String {
    let names = lease.assistant.identity.names();
    let is_part = |text: &&str| match courtesies::recognize(text, &names) {
        Some(Courtesy::Acknowledgement | Courtesy::Number) => lease.assistant.is_live,
        Some(Courtesy::Attention) => !text.chars().any(char::is_alphanumeric),
        Some(_) => false,
        None => true,
    };
    let texts = lease.pending.iter().map(|message| message.content.as_str()).filter(|text| !text.is_empty());
    let parts: Vec<_> = texts.filter(is_part).collect();
    if parts.iter().all(|part| !part.chars().any(char::is_alphanumeric)) {
        return pending_text(lease);
    }
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if !part.chars().any(char::is_alphanumeric) => line.push_str(&format!(" {part}")),
            _ => lines.push(part.to_owned()),
        }
    }
    messages::join_texts(lines.iter().map(String::as_str))
}

/// Returns the kinds of the pending messages that nobody has read, beside those that have a text.
pub(crate) fn unread_kinds(lease: &Lease) -> impl Iterator<Item = &str> {
    let unread = lease.pending.iter().filter(|message| message.content.is_empty());
    unread.map(|message| message.attachment.as_deref().unwrap_or("unknown"))
}

/// Returns the ids of the pending messages.
pub(crate) fn pending_ids(lease: &Lease) -> Vec<Uuid> {
    lease.pending.iter().map(|message| message.id).collect()
}

/// Returns the texts of the pending messages, one a line, within a limit.
pub(crate) fn pending_text(lease: &Lease) -> String {
    messages::join_texts(lease.pending.iter().map(|message| message.content.as_str()))
}

/// Returns the order draft that the pending messages may confirm, if any: its proposal is the last message to the
/// contact, was sent whole and not long ago, and every pending message came in after it.
pub(crate) fn valid_draft(lease: &Lease) -> Option<OrderDraft> {
    let draft = stored_draft(lease)?;
    let last = lease.last_outbound.as_ref()?;
    let is_last = draft.message_id == Some(last.id) && last.is_sent;
    (is_last && lease.replies_to_last_outbound() && lease.now - draft.proposed_at < DRAFT_TTL).then_some(draft)
}

fn stored_draft(lease: &Lease) -> Option<OrderDraft> {
    serde_json::from_value(lease.conversation.order_draft.clone()?).ok()
}

/// Returns true when the company is open: `{"mon": [["08:00", "12:00"], ["14:00", "18:00"]], …}`. Without business
/// hours it is always open; it is closed on a day that is missing. An interval whose end is before its start ends on
/// the next day.
fn is_open(hours: Option<&Value>, now: NaiveDateTime) -> bool {
    let Some(hours) = hours.and_then(Value::as_object) else { return true };
    let day = |back: usize| (now.weekday().num_days_from_monday() as usize + DAYS.len() - back) % DAYS.len();
    let intervals = |day: usize| {
        let intervals = hours.get(DAYS[day]).and_then(Value::as_array).into_iter().flatten();
        intervals.filter_map(|interval| Some((parse_time(&interval[0])?, parse_time(&interval[1])?)))
    };
    let clock = now.time();
    let today =
        intervals(day(0)).any(|(from, to)| if from <= to { from <= clock && clock < to } else { from <= clock });
    let since_yesterday = intervals(day(1)).any(|(from, to)| to < from && clock < to);
    today || since_yesterday
}

/// Parses a time such as `08:00`; `24:00` is the end of the day.
fn parse_time(value: &Value) -> Option<NaiveTime> {
    match value.as_str()? {
        "24:00" => NaiveTime::from_hms_opt(23, 59, 59),
        text => NaiveTime::parse_from_str(text, "%H:%M").ok(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use serde_json::json;

    use super::*;

    #[test]
    fn business_hours_decide_when_the_company_is_open() {
        let hours = json!({ "mon": [["08:00", "12:00"], ["14:00", "18:00"]], "fri": [["20:00", "02:00"]] });
        let open = |day: u32, hour: u32| {
            // 2026-11-23 is a Monday.
            let at = NaiveDate::from_ymd_opt(2026, 11, day).unwrap().and_hms_opt(hour, 30, 0).unwrap();
            is_open(Some(&hours), at)
        };
        assert!(open(23, 8) && open(23, 17) && !open(23, 12) && !open(23, 19));
        assert!(!open(24, 10), "a day without hours is closed");
        assert!(open(27, 22) && open(28, 1) && !open(28, 3), "past midnight");
        let any = NaiveDate::from_ymd_opt(2026, 11, 24).unwrap().and_hms_opt(3, 0, 0).unwrap();
        assert!(is_open(None, any) && is_open(Some(&json!(null)), any) && !is_open(Some(&json!({})), any));
        assert!(!is_open(Some(&json!({ "tue": [["x", 5], "08:00", []] })), any));
    }
}
