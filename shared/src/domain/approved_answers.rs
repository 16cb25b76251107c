//! `approved_answers`: answers that the tenant wrote. A question that differs from the stored one only in wording
//! gets the approved answer unchanged, before documents are searched or a model is called.
//!
//! SQL function: `app.question_key`, which computes the column `question_key`.

mod import;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    db::TenantTx,
    error::ApiError,
    input,
    paging::{List, Listing, Paging, list_page},
    tenants::CompanyLanguage,
};

pub use import::{AnswerImport, count_csv_rows, export_csv, import_csv};

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

/// Maximum length of a question, in characters.
const MAX_QUESTION_CHARS: usize = 1_000;
/// Maximum length of an answer, in characters.
const MAX_ANSWER_CHARS: usize = 4_096;
/// Approved answers of a company.
pub const MAX_APPROVED_ANSWERS: i64 = 1_000;

/// Text of a question that has an approved answer, 1 to 1,000 characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 1000)]
pub struct QuestionText(String);

impl TryFrom<String> for QuestionText {
    type Error = input::UnusableText;

    fn try_from(text: String) -> Result<Self, input::UnusableText> {
        input::several_lines(&text, 1, MAX_QUESTION_CHARS).map(Self)
    }
}

impl QuestionText {
    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Text of an approved answer, 1 to 4,096 characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 4096)]
pub struct AnswerText(String);

impl TryFrom<String> for AnswerText {
    type Error = input::UnusableText;

    fn try_from(text: String) -> Result<Self, input::UnusableText> {
        input::several_lines(&text, 1, MAX_ANSWER_CHARS).map(Self)
    }
}

/// An approved answer to be created.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "question": "Livrez-vous à Bouaké ?", "answer": "Oui, en deux jours.", "language": "fr" }))]
pub struct NewApprovedAnswer {
    /// A wording of the question. Others with the same words are answered too.
    pub question: QuestionText,
    /// The answer, given as it is.
    pub answer: AnswerText,
    /// Language of the question; without it, the company's.
    pub language: Option<CompanyLanguage>,
}

/// Changes to an approved answer. Omitted fields stay unchanged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "answer": "Oui, en trois jours." }))]
pub struct ApprovedAnswerPatch {
    question: Option<QuestionText>,
    answer: Option<AnswerText>,
    language: Option<CompanyLanguage>,
}

/// An approved answer as the company sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "8c4d2e1f-6b3a-4f5d-9e7c-1a2b3c4d5e6f", "question": "Livrez-vous à Bouaké ?", "answer": "Oui, en deux jours.",
    "language": "fr", "created_at": "2026-11-23T09:30:06Z", "updated_at": "2026-11-23T09:30:06Z",
}))]
pub struct StoredAnswer {
    /// Identifier of the approved answer.
    pub id: Uuid,
    question: String,
    answer: String,
    /// Language of the question: `fr` or `en`.
    language: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// Order of the approved answers.
#[derive(Debug)]
pub struct AnswerListing;

impl Listing for AnswerListing {
    const NAME: &'static str = "approved-answers";
    const SORTS: &'static [&'static str] = &["created_at"];
}

/// Returns one page of the tenant's approved answers.
///
/// # Errors
/// Returns 422 for a cursor of the wrong form, and any database error.
pub async fn list(tx: &mut TenantTx, paging: &Paging) -> Result<List<StoredAnswer>, ApiError> {
    list_page!(tx, paging, StoredAnswer {
        select: "id, question, answer, language, created_at, updated_at",
        from: "approved_answers where customer_id = $1",
        bind: [],
        order: ["created_at": "created_at" "timestamptz" DateTime<Utc> = created_at],
        id: "id" "uuid" Uuid = id,
    })
}

/// Returns all approved answers of the transaction's tenant, the oldest first.
///
/// # Errors
/// Returns any database error.
pub async fn all(tx: &mut TenantTx) -> sqlx::Result<Vec<StoredAnswer>> {
    sqlx::query_as!(
        StoredAnswer,
        r#"
        select id, question, answer, language, created_at, updated_at from approved_answers
        where customer_id = $1 order by created_at, id
        "#,
        tx.tenant()
    )
    .fetch_all(tx)
    .await
}

/// Returns an approved answer of the transaction's tenant.
///
/// # Errors
/// Returns 404 for an unknown one, and any database error.
pub async fn get(tx: &mut TenantTx, id: Uuid) -> Result<StoredAnswer, ApiError> {
    sqlx::query_as!(
        StoredAnswer,
        r#"
        select id, question, answer, language, created_at, updated_at from approved_answers
        where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        id
    )
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| ApiError::not_found("approved answer"))
}

/// Error of writing an approved answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The question has no word that tells it from others.
    #[error("the question has no word that tells it from others")]
    NoWords,
    /// Another approved answer has this wording of the question.
    #[error("the question is answered already")]
    Taken,
    /// The company has as many approved answers as it may.
    #[error("too many approved answers")]
    TooMany(i64),
    /// No such approved answer exists.
    #[error("no such approved answer")]
    Unknown,
    /// A database error.
    #[error(transparent)]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for AnswerError {
    fn from(error: sqlx::Error) -> Self {
        let database = error.as_database_error();
        if database.and_then(|error| error.constraint()) == Some("approved_answers_question_key") {
            return Self::Taken;
        }
        // SQLSTATE 23502, not null: the column `question_key` has no other value to compute.
        let is_without_words = database.and_then(|error| error.code()).is_some_and(|code| code == "23502");
        if is_without_words { Self::NoWords } else { Self::Database(error) }
    }
}

impl From<AnswerError> for ApiError {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::NoWords => Self::field("question", "must have a word that tells it from other questions"),
            AnswerError::Taken => {
                Self::conflict("question_answered", "another approved answer has this wording of the question")
            }
            AnswerError::TooMany(most) => {
                Self::conflict("too_many_approved_answers", "the company has as many approved answers as it may")
                    .with_details(serde_json::json!({ "most": most }))
            }
            AnswerError::Unknown => Self::not_found("approved answer"),
            AnswerError::Database(error) => error.into(),
        }
    }
}

/// Locks the tenant's approved answers until the transaction ends: of several writes at once, each sees the others.
async fn lock(tx: &mut TenantTx) -> sqlx::Result<()> {
    sqlx::query!("select from customers where id = $1 for no key update", tx.tenant()).execute(tx).await.map(drop)
}

/// Creates an approved answer of the transaction's tenant.
///
/// # Errors
/// Returns [`AnswerError`].
pub async fn create(tx: &mut TenantTx, new: &NewApprovedAnswer) -> Result<StoredAnswer, AnswerError> {
    lock(tx).await?;
    ensure_room(tx).await?;
    Ok(insert(tx, new).await?)
}

async fn ensure_room(tx: &mut TenantTx) -> Result<(), AnswerError> {
    let count =
        sqlx::query_scalar!(r#"select count(*) as "count!" from approved_answers where customer_id = $1"#, tx.tenant())
            .fetch_one(tx)
            .await?;
    if count >= MAX_APPROVED_ANSWERS { Err(AnswerError::TooMany(MAX_APPROVED_ANSWERS)) } else { Ok(()) }
}

async fn insert(tx: &mut TenantTx, new: &NewApprovedAnswer) -> sqlx::Result<StoredAnswer> {
    sqlx::query_as!(
        StoredAnswer,
        r#"
        insert into approved_answers (customer_id, question, answer, language)
        select $1, $2, $3, coalesce($4::text, config.language)
        from company_rag_configs config where config.company_id = (select app.current_company())
        returning id, question, answer, language, created_at, updated_at
        "#,
        tx.tenant(),
        new.question.0,
        new.answer.0,
        new.language.map(CompanyLanguage::as_str)
    )
    .fetch_one(tx)
    .await
}

/// Changes an approved answer of the transaction's tenant.
///
/// # Errors
/// Returns [`AnswerError`].
pub async fn change(tx: &mut TenantTx, id: Uuid, patch: &ApprovedAnswerPatch) -> Result<StoredAnswer, AnswerError> {
    sqlx::query_as!(
        StoredAnswer,
        r#"
        update approved_answers set question = coalesce($3, question), answer = coalesce($4, answer),
            language = coalesce($5, language), updated_at = now()
        where customer_id = $1 and id = $2
        returning id, question, answer, language, created_at, updated_at
        "#,
        tx.tenant(),
        id,
        patch.question.as_ref().map(QuestionText::as_str),
        patch.answer.as_ref().map(|answer| answer.0.as_str()),
        patch.language.map(CompanyLanguage::as_str)
    )
    .fetch_optional(tx)
    .await?
    .ok_or(AnswerError::Unknown)
}

/// Deletes an approved answer of the transaction's tenant, with the golden questions that expect it.
///
/// # Errors
/// Returns [`AnswerError::Unknown`], or any database error.
pub async fn delete(tx: &mut TenantTx, id: Uuid) -> Result<(), AnswerError> {
    let deleted = sqlx::query!("delete from approved_answers where customer_id = $1 and id = $2", tx.tenant(), id)
        .execute(tx)
        .await?;
    if deleted.rows_affected() == 0 { Err(AnswerError::Unknown) } else { Ok(()) }
}
