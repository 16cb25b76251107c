//! `outbox`: the parts of messages that are still to be sent to a contact. A send that stops goes on at the part where
//! it stopped; what was thought of is never thought of again.

use chrono::{DateTime, Utc};
use unicode_segmentation::UnicodeSegmentation;
use uuid::Uuid;

use crate::{db::TenantTx, manychat::Rejection};

/// The longest part, in characters. WhatsApp takes 4,096; a screen shows less.
const LONGEST_PART: usize = 1_500;
/// Seconds between two parts to one contact: WhatsApp takes about one message in six.
const SPACING_S: f64 = 6.0;
/// After so many attempts a part is given up.
pub const MOST_ATTEMPTS: i32 = 8;

/// Cuts a text into parts at the ends of paragraphs and sentences, or, where there are none, of words.
#[must_use]
pub fn parts(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    for piece in pieces(text) {
        if length(&part) + length(piece.trim_end()) > LONGEST_PART {
            close(&mut parts, &mut part);
        }
        part.push_str(piece);
    }
    close(&mut parts, &mut part);
    parts
}

/// Sentences with what follows them, each of at most [`LONGEST_PART`] characters.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split_sentence_bounds().flat_map(|sentence| {
        let mut rest = sentence;
        std::iter::from_fn(move || {
            let (piece, after) = split(rest)?;
            rest = after;
            Some(piece)
        })
    })
}

/// The beginning of a text that fits a part, cut after a word where there is one in sight.
fn split(text: &str) -> Option<(&str, &str)> {
    if text.is_empty() {
        return None;
    }
    let Some((end, _)) = text.char_indices().nth(LONGEST_PART) else { return Some((text, "")) };
    let (head, _) = text.split_at(end);
    let after_word = head.rfind(char::is_whitespace).map(|at| at + head[at..].chars().next().map_or(1, char::len_utf8));
    // Never between the letters of one grapheme.
    let whole = || head.grapheme_indices(true).next_back().map(|(at, _)| at).filter(|at| *at > 0);
    let at = after_word.filter(|at| *at > head.len() / 2).or_else(whole).unwrap_or(end);
    Some(text.split_at(at))
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn close(parts: &mut Vec<String>, part: &mut String) {
    let closed = std::mem::take(part);
    if !closed.trim().is_empty() {
        parts.push(closed.trim().to_owned());
    }
}

/// A part that is being sent.
#[derive(Debug)]
pub struct Part {
    message_id: Uuid,
    part: i32,
    /// The text.
    pub content: String,
    /// How often it was tried, this time included.
    pub attempts: i32,
}

/// What is to be sent next.
#[derive(Debug)]
pub enum NextPart {
    /// This one, now.
    Now(Part),
    /// Something, then.
    Later(DateTime<Utc>),
    /// Nothing.
    None,
}

/// Takes the next part of a conversation that its worker holds. The bot's own words are dropped where a person has the
/// conversation, or the contact has asked to be left alone.
///
/// # Errors
/// The database's.
pub async fn next(tx: &mut TenantTx, conversation: Uuid, by_person: bool) -> sqlx::Result<NextPart> {
    sqlx::query!(
        r#"
        with cancelled as (
            update outbox
            set state = 'cancelled', error_code = case when $3 then 'handed_over' else 'contact_opted_out' end
            from messages message, conversations conversation
            where outbox.customer_id = $1 and outbox.conversation_id = $2 and outbox.state = 'queued'
              and message.id = outbox.message_id and message.author = 'bot'
              and conversation.id = outbox.conversation_id and ($3 or conversation.opted_out_at is not null)
            returning outbox.message_id, outbox.error_code
        )
        update messages set error_code = cancelled.error_code
        from cancelled where messages.customer_id = $1 and messages.id = cancelled.message_id
        "#,
        tx.tenant(),
        conversation,
        by_person
    )
    .execute(&mut *tx)
    .await?;
    let row = sqlx::query!(
        r#"
        with next as (
            select queued.message_id, queued.part, greatest(queued.not_before, conversation.next_send_at) as due
            from outbox queued
            join conversations conversation on conversation.id = queued.conversation_id
            where queued.customer_id = $1 and queued.conversation_id = $2 and queued.state = 'queued'
            order by queued.created_at, queued.message_id, queued.part
            limit 1
        ), tried as (
            update outbox set attempts = attempts + 1
            from next
            where outbox.message_id = next.message_id and outbox.part = next.part and next.due <= now()
            returning outbox.message_id, outbox.part, outbox.content, outbox.attempts
        )
        select next.due as "due!", tried.message_id as "message_id?", tried.part as "part?",
            tried.content as "content?", tried.attempts as "attempts?"
        from next left join tried on true
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_optional(tx)
    .await?;
    Ok(match row {
        None => NextPart::None,
        Some(row) => match (row.message_id, row.part, row.content, row.attempts) {
            (Some(message_id), Some(part), Some(content), Some(attempts)) => {
                NextPart::Now(Part { message_id, part, content, attempts })
            }
            _ => NextPart::Later(row.due),
        },
    })
}

/// Notes that a part was sent; the next one waits for a while.
///
/// # Errors
/// The database's; the part is then sent again.
pub async fn sent(tx: &mut TenantTx, conversation: Uuid, part: &Part) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        with sent as (
            update outbox set state = 'sent', sent_at = now(), error = null, error_code = null
            where customer_id = $1 and message_id = $3 and part = $4 and state = 'queued'
        ), spaced as (
            update conversations set next_send_at = now() + make_interval(secs => $5)
            where customer_id = $1 and id = $2
        )
        update messages set sent_at = now()
        where customer_id = $1 and id = $3 and not exists (
            select from outbox rest
            where rest.message_id = $3 and rest.part <> $4 and rest.state = 'queued'
        )
        "#,
        tx.tenant(),
        conversation,
        part.message_id,
        part.part,
        SPACING_S
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Puts a part off: it could not be sent now.
///
/// # Errors
/// The database's.
pub async fn put_off(tx: &mut TenantTx, part: &Part, wait_s: f64, detail: &str) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(
        r#"
        update outbox set not_before = now() + make_interval(secs => $4), error = $5
        where customer_id = $1 and message_id = $2 and part = $3
        returning not_before
        "#,
        tx.tenant(),
        part.message_id,
        part.part,
        wait_s,
        detail
    )
    .fetch_one(tx)
    .await
}

/// Ends a message that cannot reach its contact: what is left of it is not sent, and the tenant sees why.
///
/// # Errors
/// The database's.
pub async fn fail(tx: &mut TenantTx, part: &Part, why: Rejection, detail: &str) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        with failed as (
            update outbox set state = 'failed', error_code = $3, error = $4
            where customer_id = $1 and message_id = $2 and state = 'queued'
        )
        update messages set error_code = $3 where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        part.message_id,
        why.as_str(),
        detail
    )
    .execute(tx)
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_text_is_one_part() {
        assert_eq!(parts(" La livraison coûte 1 500 F CFA. "), ["La livraison coûte 1 500 F CFA."]);
        assert_eq!(parts("  \n "), Vec::<String>::new());
    }

    #[test]
    fn parts_end_where_sentences_do() {
        let sentence = format!("Un {}fin. ", "mot ".repeat(100));
        let text = sentence.repeat(10);
        let parts = parts(&text);
        assert_eq!(parts.len(), 4);
        assert!(parts.iter().all(|part| part.ends_with("fin.") && length(part) <= LONGEST_PART));
    }

    #[test]
    fn a_text_without_sentences_is_cut_between_words() {
        let parts = parts(&"mot ".repeat(1_000));
        assert!(parts.iter().all(|part| part.split(' ').all(|word| word == "mot")), "{parts:?}");
    }

    #[test]
    fn letters_of_one_grapheme_stay_together() {
        let family = "👨‍👩‍👧‍👦";
        let parts = parts(&family.repeat(500));
        assert!(parts.len() > 1 && parts.iter().all(|part| part.graphemes(true).all(|one| one == family)));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_too_long(text in "([a-zé .!?\n👍]{0,60}[a-z]{0,1700}){0,6}") {
            let parts = parts(&text);
            let letters = |text: &str| text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&parts.concat()), letters(&text));
            prop_assert!(parts.iter().all(|part| (1..=LONGEST_PART).contains(&length(part))));
        }
    }
}
