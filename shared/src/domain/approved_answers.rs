//! `approved_answers`: answers that the tenant wrote. A question that differs from the stored one only in wording
//! gets the approved answer unchanged, before documents are searched or a model is called.
//!
//! SQL function: `app.question_key`, which computes the column `question_key`.

use uuid::Uuid;

use crate::db::TenantTx;

/// Stands in place of a model's name when an approved answer was given.
pub const MODEL: &str = "approved-answer";

/// An answer that the tenant has approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovedAnswer {
    /// `approved_answers.id`.
    pub id: Uuid,
    /// Text of the answer, as the tenant wrote it.
    pub answer: String,
}

/// Finds the approved answer to a question, the newest of several. Two questions match when they have the same words
/// in the same order, apart from endings, accents, words of politeness and function words (`app.question_key`). The
/// match is this strict so that nobody gets the answer to another question.
///
/// # Errors
/// Fails when the statement fails.
pub async fn find(tx: &mut TenantTx, question: &str) -> sqlx::Result<Option<ApprovedAnswer>> {
    sqlx::query_as!(
        ApprovedAnswer,
        r#"
        select id, answer from approved_answers
        where customer_id = $1
          and (language, question_key) in (
              ('fr', app.question_key($2, 'pg_catalog.french_stem')),
              ('en', app.question_key($2, 'pg_catalog.english_stem'))
          )
        order by created_at desc, id desc
        limit 1
        "#,
        tx.tenant(),
        question
    )
    .fetch_optional(tx)
    .await
}
