//! Questions without an answer, and their closing by an approved answer. Owns the table `closed_questions`. The view
//! `unanswered` has those on WhatsApp or over the API whose answer was not found in the documents, and `messages` those on
//! WhatsApp that were not answered because no answers were left.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    approved_answers::{self, AnswerText, NewApprovedAnswer, QuestionText, StoredAnswer},
    db::TenantTx,
    error::ApiError,
    golden_questions::{self, GoldenText, NewGoldenQuestion},
    paging::{List, Listing, Paging, list_page},
    tenants::CompanyLanguage,
};

/// A question without an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0d6a8e52-7c1c-4a51-9b50-54f2a9b9d7a1", "message_id": "0d6a8e52-7c1c-4a51-9b50-54f2a9b9d7a1", "conversation_id": "7a0c4a6e-0a5c-4e0b-9a57-1d2f3a4b5c6d",
    "channel": "whatsapp", "question": "Livrez-vous au Togo ?", "reason": "not_found", "created_at": "2026-11-23T09:30:08Z",
}))]
pub struct Unanswered {
    /// Identifier of the question, by which it is approved: that of the message.
    id: Uuid,
    /// The bot's message that no answer was found; with reason `quota`, the contact's message.
    message_id: Uuid,
    conversation_id: Uuid,
    /// Channel of the question: `whatsapp` or `api`.
    channel: String,
    /// Text of the question, at most 2,000 characters. On WhatsApp, all messages that were answered together.
    question: String,
    /// `not_found` (the documents do not hold the answer) or `quota` (no answers were left, or the contact wrote more than
    /// is answered). The latter ends when a person or the bot answers the conversation later.
    reason: String,
    /// Time of the message.
    created_at: DateTime<Utc>,
}

/// Sort keys of the list.
#[derive(Debug)]
pub struct UnansweredListing;

impl Listing for UnansweredListing {
    const NAME: &'static str = "unanswered-questions";
    const SORTS: &'static [&'static str] = &["created_at"];
}

/// Lists a page of the tenant's unanswered questions.
///
/// # Errors
/// 422 for a cursor that was tampered with. Fails when a statement fails.
pub async fn list(tx: &mut TenantTx, paging: &Paging) -> Result<List<Unanswered>, ApiError> {
    list_page!(tx, paging, Unanswered {
        select: r#"message_id as "id!", message_id as "message_id!", conversation_id as "conversation_id!", channel as "channel!",
            left(question, 2000) as "question!", reason as "reason!", created_at as "created_at!""#,
        from: "(
                select message_id, customer_id, conversation_id, channel, question, 'not_found' as reason, created_at
                from unanswered
                union all
                select waiting.id, waiting.customer_id, waiting.conversation_id, waiting.channel, waiting.content,
                    'quota', waiting.created_at
                from messages waiting
                where waiting.direction = 'inbound' and waiting.skipped_reason = 'quota' and waiting.content <> ''
                  and not exists (select from closed_questions closed where closed.message_id = waiting.id)
                  and not exists (
                      select from messages later
                      where later.conversation_id = waiting.conversation_id and later.created_at > waiting.created_at
                        and (later.author = 'agent' or later.answered is not null)
                  )
            ) listed where customer_id = $1",
        bind: [],
        order: ["created_at": "created_at" "timestamptz" DateTime<Utc> = created_at],
        id: "message_id" "uuid" Uuid = message_id,
    })
}

/// Approval of an answer to an unanswered question.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "answer": "Oui, en deux jours.", "golden": true }))]
pub struct Approval {
    /// The answer, given as it is to the same question from now on.
    answer: AnswerText,
    /// A better wording of the question; without it, the question as it was asked.
    question: Option<QuestionText>,
    /// Language of the question; without it, the company's.
    language: Option<CompanyLanguage>,
    /// True to make the question a golden question too.
    #[serde(default)]
    golden: bool,
}

/// An approved answer that closed a question.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "closed": "0d6a8e52-7c1c-4a51-9b50-54f2a9b9d7a1", "also_closed": 2,
    "golden_question_id": "4b8e1f60-2c7d-4e9a-b1a3-6d5c4f3e2b1a", "approved_answer": {
        "id": "8c4d2e1f-6b3a-4f5d-9e7c-1a2b3c4d5e6f", "question": "Livrez-vous au Togo ?", "answer": "Oui, en deux jours.",
        "language": "fr", "created_at": "2026-11-23T09:30:06Z", "updated_at": "2026-11-23T09:30:06Z",
    },
}))]
pub struct ApprovedQuestion {
    /// Identifier of the question, which is no longer listed.
    closed: Uuid,
    /// Number of other questions with the same wording that were closed with it.
    also_closed: u64,
    /// The new approved answer.
    pub approved_answer: StoredAnswer,
    /// The new golden question, when one was asked for.
    golden_question_id: Option<Uuid>,
}

/// Approves an answer to an unanswered question of the transaction's tenant, and closes the question.
///
/// # Errors
/// Returns 404 for a question that is not the tenant's, 409 `question_closed` for one that is closed, 422 when the question
/// is too long and no shorter wording is given, the errors of an approved answer and of a golden question, and any database
/// error.
pub async fn approve(
    tx: &mut TenantTx,
    actor: Uuid,
    id: Uuid,
    approval: Approval,
) -> Result<ApprovedQuestion, ApiError> {
    let asked = sqlx::query_scalar!(
        r#"
        select coalesce(
            (
                select string_agg(part.content, E'\n' order by part.created_at, part.id)
                from messages part where part.customer_id = $1 and part.answered_by = message.id and part.content <> ''
            ),
            message.content
        ) as "question!"
        from messages message
        where message.customer_id = $1 and message.id = $2
          and (message.answered = false or (message.direction = 'inbound' and message.skipped_reason = 'quota'))
        "#,
        tx.tenant(),
        id
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| ApiError::not_found("question"))?;
    let question = match approval.question {
        Some(question) => question,
        None => QuestionText::try_from(asked)
            .map_err(|error| ApiError::field("question", format!("{error}: give a wording of the question")))?,
    };
    // The primary key decides between two who approve at once: the second waits for the first, and is told.
    let is_first = sqlx::query_scalar!(
        r#"
        insert into closed_questions (message_id, customer_id, closed_by) values ($2, $1, $3)
        on conflict on constraint closed_questions_pkey do nothing
        returning true as "first!"
        "#,
        tx.tenant(),
        id,
        actor
    )
    .fetch_optional(&mut *tx)
    .await?;
    if is_first.is_none() {
        return Err(ApiError::conflict("question_closed", "this question is closed already"));
    }
    let golden_text = GoldenText::try_from(question.as_str().to_owned());
    let new = NewApprovedAnswer { question, answer: approval.answer, language: approval.language };
    let approved_answer = approved_answers::create(tx, &new).await?;
    sqlx::query!(
        "update closed_questions set approved_answer_id = $3 where customer_id = $1 and message_id = $2",
        tx.tenant(),
        id,
        approved_answer.id
    )
    .execute(&mut *tx)
    .await?;
    let also_closed = close_answered(tx, actor, approved_answer.id).await?;
    let golden_question_id = match approval.golden {
        true => Some(make_golden(tx, golden_text, approved_answer.id).await?),
        false => None,
    };
    Ok(ApprovedQuestion { closed: id, also_closed, approved_answer, golden_question_id })
}

/// Makes an approved question a golden question. Returns its id.
async fn make_golden<E: std::fmt::Display>(
    tx: &mut TenantTx,
    text: Result<GoldenText, E>,
    approved_answer: Uuid,
) -> Result<Uuid, ApiError> {
    let text = text.map_err(|error| ApiError::field("question", error.to_string()))?;
    Ok(golden_questions::create(tx, &NewGoldenQuestion::of_approved_answer(text, approved_answer)).await?.id)
}

/// Newest questions among which those with the wording of an approved answer are looked for.
const MAX_COMPARED_QUESTIONS: i64 = 1_000;

/// Closes the unanswered questions that have the wording of an approved answer of the transaction's tenant. Returns their
/// number.
///
/// # Errors
/// Returns any database error.
pub async fn close_answered(tx: &mut TenantTx, actor: Uuid, approved_answer: Uuid) -> sqlx::Result<u64> {
    let closed = sqlx::query!(
        r#"
        insert into closed_questions (message_id, customer_id, closed_by, approved_answer_id)
        select newest.message_id, $1, $2, answer.id
        from approved_answers answer
        cross join lateral (
            select message_id, question from unanswered where customer_id = $1 order by created_at desc limit $4
        ) newest
        where answer.customer_id = $1 and answer.id = $3
          and app.question_key(left(newest.question, 2000), case answer.language
              when 'en' then 'pg_catalog.english_stem'::regdictionary else 'pg_catalog.french_stem'::regdictionary
          end) = answer.question_key
        on conflict on constraint closed_questions_pkey do nothing
        "#,
        tx.tenant(),
        actor,
        approved_answer,
        MAX_COMPARED_QUESTIONS
    )
    .execute(tx)
    .await?;
    Ok(closed.rows_affected())
}
