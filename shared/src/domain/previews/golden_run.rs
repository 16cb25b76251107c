//! Runs of a company's golden questions against a draft.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{PreparedPreview, PreviewAnswer, PreviewPipeline, PreviewUsage, Setup};
use crate::{
    error::{ApiError, Result},
    golden_questions::GoldenQuestion,
};

/// Golden questions that are asked at the same time.
const CONCURRENT_QUESTIONS: usize = 5;

/// Run of a company's golden questions, which are answered from the documents, with `prompt_rag`.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct GoldenRun {
    /// Number of questions that pass.
    passed: usize,
    /// Number of questions that fail.
    failed: usize,
    /// Number of failed questions that pass with the configuration in force.
    pub regressions: usize,
    /// Result of each question, the oldest first.
    results: Vec<GoldenResult>,
}

/// Result of a golden question.
#[derive(Debug, Serialize, ToSchema)]
pub struct GoldenResult {
    /// Identifier of the golden question.
    id: Uuid,
    question: String,
    /// True when the answer is the expected one.
    passed: bool,
    /// True when the question fails with the draft and passes with the configuration in force.
    is_regression: bool,
    /// Reason of a failure: `not_answered`, `other_document`, `other_page` or `other_answer`; null otherwise.
    reason: Option<&'static str>,
    /// Text of the answer.
    answer: String,
}

impl GoldenRun {
    /// Returns each question with its result.
    #[must_use]
    pub fn passes(&self) -> Vec<(Uuid, bool)> {
        self.results.iter().map(|result| (result.id, result.passed)).collect()
    }

    /// Returns true when the run has tried all of these questions.
    #[must_use]
    pub fn covers(&self, questions: &[GoldenQuestion]) -> bool {
        let tried: BTreeSet<_> = self.results.iter().map(|result| result.id).collect();
        questions.iter().all(|question| tried.contains(&question.id))
    }

    /// Returns the 409 error for a draft that breaks golden questions.
    #[must_use]
    pub fn refusal(&self) -> ApiError {
        let broken: Vec<_> = self
            .results
            .iter()
            .filter(|result| result.is_regression)
            .map(|result| serde_json::json!({ "id": result.id, "question": result.question, "reason": result.reason }))
            .collect();
        let message = "golden questions that pass now would fail: send accept_regressions to save all the same";
        ApiError::conflict("golden_regressions", message).with_details(serde_json::json!({ "regressions": broken }))
    }
}

impl PreviewPipeline {
    /// Asks all golden questions with the draft, and those that fail with the configuration in force too.
    pub(super) async fn run_golden(&self, prepared: &PreparedPreview, spent: &mut PreviewUsage) -> Result<GoldenRun> {
        let asked = stream::iter(prepared.golden.clone()).map(|golden| async move {
            let mut spent = PreviewUsage::default();
            let result = self.try_golden(prepared, &golden, &mut spent).await;
            (result, spent)
        });
        let outcomes: Vec<_> = asked.buffered(CONCURRENT_QUESTIONS).collect().await;
        let mut results = Vec::new();
        let mut failure = None;
        for (result, used) in outcomes {
            spent.calls.extend(used.calls);
            spent.questions += used.questions;
            match result {
                Ok(result) => results.push(result),
                Err(error) => failure = Some(error),
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        let passed = results.iter().filter(|result| result.passed).count();
        Ok(GoldenRun {
            passed,
            failed: results.len() - passed,
            regressions: results.iter().filter(|result| result.is_regression).count(),
            results,
        })
    }

    async fn try_golden(
        &self,
        prepared: &PreparedPreview,
        golden: &GoldenQuestion,
        spent: &mut PreviewUsage,
    ) -> Result<GoldenResult> {
        let PreparedPreview { draft, present, .. } = prepared;
        let (answer, failure) = self.judge(draft, golden, spent).await?;
        let is_regression = match failure {
            Some(_) if draft.answers_differ(present) => self.judge(present, golden, spent).await?.1.is_none(),
            _ => false,
        };
        Ok(GoldenResult {
            id: golden.id,
            question: golden.question.clone(),
            passed: failure.is_none(),
            is_regression,
            reason: failure,
            answer: answer.answer,
        })
    }

    /// Answers a golden question, and returns the answer with the reason for which it is not the expected one.
    async fn judge(
        &self,
        setup: &Setup,
        golden: &GoldenQuestion,
        spent: &mut PreviewUsage,
    ) -> Result<(PreviewAnswer, Option<&'static str>)> {
        let answer = self.answer(setup, None, &golden.question, spent).await?;
        if answer.has_failed {
            let message = "the golden questions were not answered in time: try again, or send accept_regressions";
            return Err(ApiError { message: message.to_owned(), ..ApiError::unavailable() });
        }
        let failure = failure_of(golden, &answer);
        Ok((answer, failure))
    }
}

/// Returns the reason for which an answer is not the expected one; `None` when it is.
fn failure_of(golden: &GoldenQuestion, answer: &PreviewAnswer) -> Option<&'static str> {
    if !answer.answered {
        return Some("not_answered");
    }
    if let Some(expected) = golden.approved_answer_id {
        return (answer.approved != Some(expected)).then_some("other_answer");
    }
    let document = golden.document_id?;
    let pages: BTreeSet<_> = answer
        .citations
        .iter()
        .filter(|citation| citation.document_id == document)
        .map(|citation| citation.page)
        .collect();
    if pages.is_empty() {
        return Some("other_document");
    }
    match golden.page {
        Some(page) if !pages.contains(&Some(page)) => Some("other_page"),
        _ => None,
    }
}
