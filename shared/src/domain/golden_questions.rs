//! Golden questions of a company: questions with known answers, by which a prompt is tried before it is used. Owns the
//! table `golden_questions`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    db::TenantTx,
    error::{ApiError, FieldError},
    input,
    paging::{List, Listing, Paging, list_page},
};

/// Golden questions of a company. One run asks all of them within the time of a request.
pub const MAX_GOLDEN_QUESTIONS: i64 = 30;
/// Maximum length of a question, in characters.
const MAX_QUESTION_CHARS: usize = 1_000;
/// Maximum number of a page.
const MAX_PAGE: i32 = 100_000;

/// Text of a golden question, 1 to 1,000 characters.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 1000)]
pub struct GoldenText(String);

impl TryFrom<String> for GoldenText {
    type Error = input::UnusableText;

    fn try_from(text: String) -> Result<Self, input::UnusableText> {
        input::several_lines(&text, 1, MAX_QUESTION_CHARS).map(Self)
    }
}

impl GoldenText {
    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A golden question to be created. Exactly one of `document_id` and `approved_answer_id` is required.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "question": "Livrez-vous à Bouaké ?", "document_id": "0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01", "page": 1,
}))]
pub struct NewGoldenQuestion {
    question: GoldenText,
    /// Document that the answer cites.
    document_id: Option<Uuid>,
    /// Page that the answer cites; without it, any page of the document.
    #[schema(minimum = 1)]
    page: Option<i32>,
    /// Approved answer that is given.
    approved_answer_id: Option<Uuid>,
}

/// A golden question.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "4b8e1f60-2c7d-4e9a-b1a3-6d5c4f3e2b1a", "question": "Livrez-vous à Bouaké ?",
    "document_id": "0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01", "page": 1, "approved_answer_id": null, "last_passed": true,
    "last_run_at": "2026-11-23T09:30:06Z", "created_at": "2026-11-23T09:30:06Z",
}))]
pub struct GoldenQuestion {
    /// Identifier of the golden question.
    pub id: Uuid,
    /// Text of the question.
    pub question: String,
    /// Document that the answer cites.
    pub document_id: Option<Uuid>,
    /// Page that the answer cites.
    pub page: Option<i32>,
    /// Approved answer that is given.
    pub approved_answer_id: Option<Uuid>,
    /// Result of the last run for a saved prompt; null before the first one.
    pub last_passed: Option<bool>,
    /// Time of the last run for a saved prompt; null before the first one.
    last_run_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

/// Order of the golden questions.
#[derive(Debug)]
pub struct GoldenListing;

impl Listing for GoldenListing {
    const NAME: &'static str = "golden-questions";
    const SORTS: &'static [&'static str] = &["created_at"];
}

/// Returns one page of the tenant's golden questions.
///
/// # Errors
/// Returns 422 for a cursor of the wrong form, and any database error.
pub async fn list(tx: &mut TenantTx, paging: &Paging) -> Result<List<GoldenQuestion>, ApiError> {
    list_page!(tx, paging, GoldenQuestion {
        select: "id, question, document_id, page, approved_answer_id, last_passed, last_run_at, created_at",
        from: "golden_questions where customer_id = $1",
        bind: [],
        order: ["created_at": "created_at" "timestamptz" DateTime<Utc> = created_at],
        id: "id" "uuid" Uuid = id,
    })
}

/// Returns all golden questions of the transaction's tenant, the oldest first.
///
/// # Errors
/// Returns any database error.
pub async fn all(tx: &mut TenantTx) -> sqlx::Result<Vec<GoldenQuestion>> {
    sqlx::query_as!(
        GoldenQuestion,
        r#"
        select id, question, document_id, page, approved_answer_id, last_passed, last_run_at, created_at
        from golden_questions where customer_id = $1 order by created_at, id
        "#,
        tx.tenant()
    )
    .fetch_all(tx)
    .await
}

impl NewGoldenQuestion {
    /// A golden question that expects an approved answer.
    #[must_use]
    pub fn of_approved_answer(question: GoldenText, approved_answer: Uuid) -> Self {
        Self { question, document_id: None, page: None, approved_answer_id: Some(approved_answer) }
    }

    fn validate(&self) -> Result<(), ApiError> {
        let mut wrong = Vec::new();
        match (self.document_id, self.approved_answer_id) {
            (None, None) => wrong.push(FieldError::new("document_id", "is required, or an approved_answer_id instead")),
            (Some(_), Some(_)) => {
                wrong.push(FieldError::new("approved_answer_id", "cannot be used together with document_id"));
            }
            (Some(_), None) | (None, Some(_)) => {}
        }
        if self.page.is_some_and(|page| !(1..=MAX_PAGE).contains(&page)) {
            wrong.push(FieldError::new("page", format!("must be between 1 and {MAX_PAGE}")));
        } else if self.page.is_some() && self.document_id.is_none() {
            wrong.push(FieldError::new("page", "is a page of a document, so document_id is required"));
        }
        if wrong.is_empty() { Ok(()) } else { Err(ApiError::validation(wrong)) }
    }
}

/// Creates a golden question of the transaction's tenant.
///
/// # Errors
/// Returns 422 for wrong fields, 404 for a document or an approved answer that the tenant does not have, 409
/// `too_many_golden_questions` when there are [`MAX_GOLDEN_QUESTIONS`], and any database error.
pub async fn create(tx: &mut TenantTx, new: &NewGoldenQuestion) -> Result<GoldenQuestion, ApiError> {
    new.validate()?;
    // The lock makes simultaneous creations count one after the other.
    sqlx::query!("select from customers where id = $1 for no key update", tx.tenant()).execute(&mut *tx).await?;
    let count =
        sqlx::query_scalar!(r#"select count(*) as "count!" from golden_questions where customer_id = $1"#, tx.tenant())
            .fetch_one(&mut *tx)
            .await?;
    if count >= MAX_GOLDEN_QUESTIONS {
        let message = "there are as many golden questions as one run can ask: delete some of them first";
        let details = serde_json::json!({ "golden_questions": count, "most": MAX_GOLDEN_QUESTIONS });
        return Err(ApiError::conflict("too_many_golden_questions", message).with_details(details));
    }
    let created = sqlx::query_as!(
        GoldenQuestion,
        r#"
        insert into golden_questions (customer_id, question, document_id, page, approved_answer_id)
        values ($1, $2, $3, $4, $5)
        returning id, question, document_id, page, approved_answer_id, last_passed, last_run_at, created_at
        "#,
        tx.tenant(),
        new.question.0,
        new.document_id,
        new.page,
        new.approved_answer_id
    )
    .fetch_one(tx)
    .await;
    created.map_err(|error| match error.as_database_error().and_then(|error| error.constraint()) {
        // The keys have the tenant in them, so another tenant's object is none.
        Some("golden_questions_document_id_fkey") => ApiError::not_found("document"),
        Some("golden_questions_approved_answer_id_fkey") => ApiError::not_found("approved answer"),
        _ => error.into(),
    })
}

/// Deletes a golden question of the transaction's tenant.
///
/// # Errors
/// Returns 404 for an unknown one, and any database error.
pub async fn delete(tx: &mut TenantTx, id: Uuid) -> Result<(), ApiError> {
    let deleted = sqlx::query!("delete from golden_questions where customer_id = $1 and id = $2", tx.tenant(), id)
        .execute(tx)
        .await?;
    if deleted.rows_affected() == 0 { Err(ApiError::not_found("golden question")) } else { Ok(()) }
}

/// Stores the results of a run for a saved prompt.
///
/// # Errors
/// Returns any database error.
pub async fn store_results(tx: &mut TenantTx, results: &[(Uuid, bool)]) -> sqlx::Result<()> {
    let (ids, passed): (Vec<Uuid>, Vec<bool>) = results.iter().copied().unzip();
    sqlx::query!(
        r#"
        update golden_questions golden set last_passed = result.passed, last_run_at = now()
        from unnest($2::uuid[], $3::boolean[]) as result (id, passed)
        where golden.customer_id = $1 and golden.id = result.id
        "#,
        tx.tenant(),
        &ids,
        &passed
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Lets the questions that expect a document expect the one that replaces it. A page stays the same number: where the
/// newer document has the answer on another page, the next run says so.
///
/// # Errors
/// Returns any database error.
pub async fn expect_newer_document(tx: &mut TenantTx, older: Uuid, newer: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "update golden_questions set document_id = $3 where customer_id = $1 and document_id = $2",
        tx.tenant(),
        older,
        newer
    )
    .execute(tx)
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_golden_question_has_exactly_one_expectation() {
        let id = Uuid::nil();
        for (body, is_valid) in [
            (json!({ "question": "a", "document_id": id }), true),
            (json!({ "question": "a", "document_id": id, "page": 3 }), true),
            (json!({ "question": "a", "approved_answer_id": id }), true),
            (json!({ "question": "a" }), false),
            (json!({ "question": "a", "document_id": id, "approved_answer_id": id }), false),
            (json!({ "question": "a", "approved_answer_id": id, "page": 1 }), false),
            (json!({ "question": "a", "document_id": id, "page": 0 }), false),
        ] {
            let new: NewGoldenQuestion = serde_json::from_value(body.clone()).unwrap();
            assert_eq!(new.validate().is_ok(), is_valid, "{body}");
        }
    }
}
