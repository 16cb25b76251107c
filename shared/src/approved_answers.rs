//! `approved_answers`: the tenant's own answers. One is given as it is to every question that its own question is another
//! wording of, before documents are searched or a model is asked.

use uuid::Uuid;

use crate::db::TenantTx;

/// Who answers, where a model would be named.
pub const MODEL: &str = "approved-answer";

/// An answer that the tenant has approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovedAnswer {
    /// `approved_answers.id`.
    pub id: Uuid,
    /// The text, as the tenant wrote it.
    pub answer: String,
}

/// Finds the answer to a question. Two questions are the same when they have the same words in the same order, but for
/// endings, accents, politeness and grammar (`app.question_key`), so that nobody is given the answer to another question.
///
/// # Errors
/// The database's.
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
