//! Table `outbox`: the parts of messages to contacts, with their delivery state. An interrupted delivery continues at
//! the first unsent part; the text is not generated again.

use chrono::{DateTime, Utc};
use unicode_segmentation::UnicodeSegmentation;
use uuid::Uuid;

use crate::{db::TenantTx, manychat::DeliveryFailure};

/// The maximum length of a part, in characters. WhatsApp accepts 4,096; a screen shows less.
const MAX_PART_CHARS: usize = 1_500;
/// Seconds between two parts to one contact: WhatsApp accepts about one message in six seconds.
const PART_SPACING_S: f64 = 6.0;
/// Attempts at sending a part, after which its message fails.
pub const MAX_SEND_ATTEMPTS: i32 = 8;

/// Splits a text into parts of at most `MAX_PART_CHARS` characters, at the ends of paragraphs and sentences. A
/// longer sentence is split after a word.
#[must_use]
pub fn split_into_parts(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    for piece in split_into_sentences(text) {
        if char_count(&part) + char_count(piece.trim_end()) > MAX_PART_CHARS {
            finish_part(&mut parts, &mut part);
        }
        part.push_str(piece);
    }
    finish_part(&mut parts, &mut part);
    parts
}

/// Splits a text into sentences with their trailing white space, each of at most [`MAX_PART_CHARS`] characters.
fn split_into_sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_sentence_bounds().flat_map(|sentence| {
        let mut rest = sentence;
        std::iter::from_fn(move || {
            let (piece, after) = split_at_limit(rest)?;
            rest = after;
            Some(piece)
        })
    })
}

/// Splits off the start of a text that fits a part. The split is after a word, if one ends in the second half of the
/// start; else between two graphemes.
fn split_at_limit(text: &str) -> Option<(&str, &str)> {
    if text.is_empty() {
        return None;
    }
    let Some((end, _)) = text.char_indices().nth(MAX_PART_CHARS) else { return Some((text, "")) };
    let (head, _) = text.split_at(end);
    let after_word = head.rfind(char::is_whitespace).map(|at| at + head[at..].chars().next().map_or(1, char::len_utf8));
    // Never inside a grapheme.
    let whole = || head.grapheme_indices(true).next_back().map(|(at, _)| at).filter(|at| *at > 0);
    let at = after_word.filter(|at| *at > head.len() / 2).or_else(whole).unwrap_or(end);
    Some(text.split_at(at))
}

fn char_count(text: &str) -> usize {
    text.chars().count()
}

/// Moves the current part to `parts`, unless it is blank.
fn finish_part(parts: &mut Vec<String>, part: &mut String) {
    let finished = std::mem::take(part);
    if !finished.trim().is_empty() {
        parts.push(finished.trim().to_owned());
    }
}

/// A part to be sent now.
#[derive(Debug)]
pub struct OutboxPart {
    message_id: Uuid,
    part: i32,
    /// The text.
    pub content: String,
    /// Attempts at sending, this one included.
    pub attempts: i32,
}

impl OutboxPart {
    /// The message that the part belongs to.
    #[must_use]
    pub fn message_id(&self) -> Uuid {
        self.message_id
    }
}

/// The result of [`claim_next_part`].
#[derive(Debug)]
pub enum NextPart {
    /// A part to send now.
    Now(OutboxPart),
    /// A part that must not be sent before this time.
    Later(DateTime<Utc>),
    /// The outbox holds no queued part of the conversation.
    None,
}

/// Returns the next part of a conversation and counts an attempt at it. The caller holds the conversation's lease.
/// First cancels the bot's queued parts when `by_person` is true (a person answers the conversation). When the contact
/// has opted out, cancels everything that was queued before, and all that is neither a notice of the product nor a person's
/// answer to a message that the contact has written since.
///
/// # Errors
/// A database error.
pub async fn claim_next_part(tx: &mut TenantTx, conversation: Uuid, by_person: bool) -> sqlx::Result<NextPart> {
    cancel_parts(tx, conversation, by_person).await?;
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
                NextPart::Now(OutboxPart { message_id, part, content, attempts })
            }
            _ => NextPart::Later(row.due),
        },
    })
}

/// Cancels the queued parts that may not be sent any more, as [`claim_next_part`] describes.
async fn cancel_parts(tx: &mut TenantTx, conversation: Uuid, by_person: bool) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        with cancelled as (
            update outbox
            set state = 'cancelled',
                error_code = case when $3 and message.author = 'bot' then 'handed_over' else 'contact_opted_out' end
            from messages message, conversations conversation
            where outbox.customer_id = $1 and outbox.conversation_id = $2 and outbox.state = 'queued'
              and message.id = outbox.message_id and conversation.id = outbox.conversation_id
              and (
                  ($3 and message.author = 'bot')
                  or (
                      conversation.opted_out_at is not null
                      and (
                          message.author = 'bot' or outbox.created_at < conversation.opted_out_at
                          -- A person answers a contact who has written since.
                          or (message.author = 'agent' and conversation.last_inbound_at <= conversation.opted_out_at)
                      )
                  )
              )
            returning outbox.message_id, outbox.error_code
        )
        update messages set error_code = cancelled.error_code
        from cancelled where messages.customer_id = $1 and messages.id = cancelled.message_id
        "#,
        tx.tenant(),
        conversation,
        by_person
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Marks a part as sent, and delays the conversation's next part by `PART_SPACING_S`.
///
/// # Errors
/// A database error; the part is then sent again.
pub async fn mark_sent(tx: &mut TenantTx, conversation: Uuid, part: &OutboxPart) -> sqlx::Result<()> {
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
        PART_SPACING_S
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Delays a part that could not be sent by `wait_s` seconds, and returns the time of the next attempt.
///
/// # Errors
/// A database error.
pub async fn defer(tx: &mut TenantTx, part: &OutboxPart, wait_s: f64, detail: &str) -> sqlx::Result<DateTime<Utc>> {
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

/// Marks a message that cannot reach its contact as failed. Its queued parts are not sent, and the tenant sees the
/// reason. Returns true when no part was sent before, so that nothing of the message reached the contact.
///
/// # Errors
/// A database error.
pub async fn mark_failed(
    tx: &mut TenantTx,
    part: &OutboxPart,
    why: DeliveryFailure,
    detail: &str,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        with failed as (
            update outbox set state = 'failed', error_code = $3, error = $4
            where customer_id = $1 and message_id = $2 and state = 'queued'
            returning part
        ), marked as (
            update messages set error_code = $3 where customer_id = $1 and id = $2
        )
        select exists (select from failed) and not exists (
            select from outbox where customer_id = $1 and message_id = $2 and state <> 'queued'
        ) as "is_lost!"
        "#,
        tx.tenant(),
        part.message_id,
        why.as_str(),
        detail
    )
    .fetch_one(tx)
    .await
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_text_is_one_trimmed_part_and_a_blank_one_is_none() {
        assert_eq!(split_into_parts(" La livraison coûte 1 500 F CFA. "), ["La livraison coûte 1 500 F CFA."]);
        assert_eq!(split_into_parts("  \n "), Vec::<String>::new());
    }

    #[test]
    fn a_long_text_is_split_at_the_ends_of_sentences() {
        let sentence = format!("Un {}fin. ", "mot ".repeat(100));
        let text = sentence.repeat(10);
        let parts = split_into_parts(&text);
        assert_eq!(parts.len(), 4);
        assert!(parts.iter().all(|part| part.ends_with("fin.") && char_count(part) <= MAX_PART_CHARS));
    }

    #[test]
    fn a_text_without_sentences_is_split_between_words() {
        let parts = split_into_parts(&"mot ".repeat(1_000));
        assert!(parts.iter().all(|part| part.split(' ').all(|word| word == "mot")), "{parts:?}");
    }

    #[test]
    fn a_grapheme_is_never_split() {
        let family = "👨‍👩‍👧‍👦";
        let parts = split_into_parts(&family.repeat(500));
        assert!(parts.len() > 1 && parts.iter().all(|part| part.graphemes(true).all(|one| one == family)));
    }

    proptest! {
        #[test]
        fn parts_keep_every_letter_and_the_length_limit(text in "([a-zé .!?\n👍]{0,60}[a-z]{0,1700}){0,6}") {
            let parts = split_into_parts(&text);
            let letters = |text: &str| text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&parts.concat()), letters(&text));
            prop_assert!(parts.iter().all(|part| (1..=MAX_PART_CHARS).contains(&char_count(part))));
        }
    }
}
