//! What a contact's messages call for, before any model is asked: the product's own rules, in the order in which they
//! count.

use chrono::{Datelike, NaiveDateTime, NaiveTime, TimeDelta};
use serde_json::Value;
use shared::{
    conversations::{HandoverReason, Lease, words},
    orders::Draft,
};

/// A proposal that is older is not what the contact says yes to.
const DRAFT_LIFE: TimeDelta = TimeDelta::hours(24);
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The contact wants to be left alone: say so, and be silent.
    OptOut,
    /// The contact wants to be answered again.
    OptIn,
    /// The contact has asked to be left alone before: store, and be silent.
    Silence,
    /// Nothing that came is a text.
    Unsupported,
    /// A person is to answer.
    HandOver(HandoverReason),
    /// The contact says yes to what was proposed.
    Confirm(Box<Draft>),
    /// The contact says no to it.
    Decline,
    /// An answer is called for.
    Answer,
}

/// Judges what waits.
pub(crate) fn judge(lease: &Lease) -> Verdict {
    let texts: Vec<_> = lease.waiting.iter().map(|message| message.content.as_str()).collect();
    // Of several commands the last one counts.
    let command = texts.iter().rev().find_map(|text| {
        if words::asks_to_stop(text) {
            return Some(Verdict::OptOut);
        }
        words::asks_to_resume(text).then_some(Verdict::OptIn)
    });
    match command {
        Some(Verdict::OptIn) if !lease.conversation.is_opted_out => {}
        Some(command) => return command,
        None if lease.conversation.is_opted_out => return Verdict::Silence,
        None => {}
    }
    let assistant = &lease.assistant;
    let said = said(lease);
    // A person has seen what came before the conversation was given back: that hands it over no second time.
    let unseen = || lease.waiting.iter().filter(|message| lease.conversation.released_at < Some(message.created_at));
    if said.is_empty() {
        let hands_over = assistant.hands_over_unsupported && unseen().next().is_some();
        return if hands_over { Verdict::HandOver(HandoverReason::Unsupported) } else { Verdict::Unsupported };
    }
    if unseen().any(|message| words::asks_for_a_person(&message.content, &assistant.handover_keywords)) {
        return Verdict::HandOver(HandoverReason::Keyword);
    }
    let is_closed = !is_open(assistant.business_hours.as_ref(), lease.local_now);
    if assistant.hands_over_outside_hours && is_closed && unseen().next().is_some() {
        return Verdict::HandOver(HandoverReason::OutsideHours);
    }
    // Said in one go, or in several.
    let says =
        |judge: fn(&str) -> bool| judge(&said) || texts.iter().filter(|text| !text.is_empty()).all(|text| judge(text));
    match draft(lease) {
        Some(draft) if says(words::is_yes) => Verdict::Confirm(Box::new(draft)),
        Some(_) if says(words::is_no) => Verdict::Decline,
        _ => Verdict::Answer,
    }
}

/// All that waits, as one text.
pub(crate) fn said(lease: &Lease) -> String {
    let texts = lease.waiting.iter().map(|message| message.content.as_str()).filter(|text| !text.is_empty());
    texts.collect::<Vec<_>>().join("\n")
}

/// What was proposed and is still good.
pub(crate) fn draft(lease: &Lease) -> Option<Draft> {
    let draft: Draft = serde_json::from_value(lease.conversation.order_draft.clone()?).ok()?;
    (lease.now - draft.proposed_at < DRAFT_LIFE).then_some(draft)
}

/// Whether the company is open: `{"mon": [["08:00", "12:00"], ["14:00", "18:00"]], …}`. Without hours it always is; a
/// day that is not named is closed; an interval that ends before it begins goes on past midnight.
fn is_open(hours: Option<&Value>, now: NaiveDateTime) -> bool {
    let Some(hours) = hours.and_then(Value::as_object) else { return true };
    let day = |back: usize| (now.weekday().num_days_from_monday() as usize + DAYS.len() - back) % DAYS.len();
    let intervals = |day: usize| {
        let intervals = hours.get(DAYS[day]).and_then(Value::as_array).into_iter().flatten();
        intervals.filter_map(|interval| Some((time(&interval[0])?, time(&interval[1])?)))
    };
    let clock = now.time();
    let today =
        intervals(day(0)).any(|(from, to)| if from <= to { from <= clock && clock < to } else { from <= clock });
    let since_yesterday = intervals(day(1)).any(|(from, to)| to < from && clock < to);
    today || since_yesterday
}

/// `08:00`; `24:00` is the end of the day.
fn time(value: &Value) -> Option<NaiveTime> {
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
    fn business_hours_are_the_companys() {
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
