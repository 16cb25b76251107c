//! Previews: answers to test questions with a draft of the configuration, and runs of the golden questions against it.
//! Questions and answers are not stored, and no request of the quota is used. The calls of models are recorded in the cost
//! ledger, since they are paid for, and count against the plan's spend cap and a number of calls a day.
//!
//! A draft is the prompt for answers from documents (`prompt_rag`) and the assistant's name. The sales prompts of the mode
//! LIVE are not previewed.

use std::{collections::BTreeSet, time::Duration};

use axum::http::StatusCode;
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    approved_answers,
    company_config::{self, CompanyConfig, ConfigPatch, Prompt},
    customer_texts,
    db::Db,
    embeddings::EmbedderRegistry,
    error::{ApiError, Result},
    golden_questions::{self, GoldenQuestion},
    llm::{self, AnswerStyle, LlmError, ModelCall, Provider, Usage},
    logging, periods, plans,
    questions::Citation,
    retrieval::{self, Passage, Question, RetrievalError, SearchRequest},
    settings::Settings,
    tenants::{self, Identity},
    text::{self, Language},
    unconfirmed::UnconfirmedLimits,
    usage::{self, UsageDelta},
};

/// Time from the receipt of the request to the results. API Gateway's own timeout is 30 s.
pub const PREVIEW_TIMEOUT: Duration = Duration::from_secs(25);
/// Golden questions that are asked at the same time.
const CONCURRENT_QUESTIONS: usize = 5;
/// Calls of models that a company's previews may make a day.
const MAX_CALLS_PER_DAY: i64 = 300;
/// Passages for a model, as on WhatsApp.
const PASSAGES_FOR_MODEL: i64 = 6;
/// Stands in place of a model's name when no model answered.
const NO_MODEL: &str = "none";

/// Request for a preview.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "question": "Livrez-vous à Bouaké ?", "draft": { "prompt_rag": "Tutoie les clients." } }))]
pub struct PreviewRequest {
    /// Test question; required without `golden`.
    pub question: Option<Question>,
    /// True to run the golden questions.
    #[serde(default)]
    pub golden: bool,
    /// Draft of the configuration; what it omits is as configured.
    #[serde(default)]
    pub draft: ConfigPatch,
}

/// Result of a preview.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "answer": { "answer": "Oui, en deux jours.", "answered": true, "citations": [], "model": "extractive-1",
        "usage": { "prompt_tokens": 0, "completion_tokens": 0 } },
    "golden": null,
}))]
pub struct Preview {
    /// Answer to the test question; null without one.
    pub answer: Option<PreviewAnswer>,
    /// Run of the golden questions; null when none was asked for.
    pub golden: Option<GoldenRun>,
}

/// Answer to a test question.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewAnswer {
    /// Text of the answer.
    answer: String,
    /// False when the documents do not contain the answer, or when no model answered.
    answered: bool,
    /// Passages that support the answer.
    citations: Vec<Citation>,
    /// Source of the answer, as in an answer to a question.
    model: String,
    usage: Usage,
    /// Approved answer that was given.
    #[serde(skip)]
    approved: Option<Uuid>,
    /// True when no model answered, so that nothing is known of the draft.
    #[serde(skip)]
    has_failed: bool,
}

/// Run of a company's golden questions.
#[derive(Debug, Serialize, ToSchema)]
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

/// The steps of a preview, with the clients that they use.
#[derive(Debug, Clone)]
pub struct PreviewPipeline {
    db: Db,
    embedders: EmbedderRegistry,
    provider: Provider,
    unconfirmed: UnconfirmedLimits,
}

/// What an answer is made from: the names and instructions of a configuration, and the provider of answers.
#[derive(Debug, Clone)]
struct Setup {
    tenant: Uuid,
    identity: Identity,
    instructions: Option<String>,
    provider: Provider,
    deadline: Instant,
}

impl PreviewPipeline {
    /// Reads the settings of the embedders and of the language models.
    pub fn read(settings: &mut Settings, db: &Db) -> Self {
        Self {
            db: db.clone(),
            embedders: EmbedderRegistry::read(settings),
            provider: Provider::read(settings),
            unconfirmed: UnconfirmedLimits::read(settings),
        }
    }

    /// Answers the test question with the draft, and runs the golden questions against it.
    ///
    /// # Errors
    /// Returns 422 without a question and without `golden`, 402 when the plan's spend cap is reached, 429
    /// `preview_limit` when the day's calls are used up, 503 when the golden questions are not answered in time.
    pub async fn preview(&self, tenant: Uuid, request: &PreviewRequest, received_at: Instant) -> Result<Preview> {
        request.draft.validate()?;
        if request.question.is_none() && !request.golden {
            return Err(ApiError::field("question", "is required, or golden with the value true"));
        }
        let (draft, present) = self.setups(tenant, &request.draft, received_at + PREVIEW_TIMEOUT).await?;
        let mut calls = Vec::new();
        let answer = match &request.question {
            Some(question) => self.answer(&draft, question.as_str(), &mut calls).await.map(Some),
            None => Ok(None),
        };
        let golden = match (&answer, request.golden) {
            (Ok(_), true) => self.run_golden(&draft, &present, &mut calls).await.map(Some),
            _ => Ok(None),
        };
        self.record(tenant, &calls).await;
        Ok(Preview { answer: answer?, golden: golden? })
    }

    /// Runs the golden questions against a draft that is about to be saved. Returns `None` when the company has none, or
    /// when the draft changes no answer.
    ///
    /// # Errors
    /// Returns the errors of [`Self::preview`].
    pub async fn try_draft(
        &self,
        tenant: Uuid,
        config: &CompanyConfig,
        draft: &ConfigPatch,
        received_at: Instant,
    ) -> Result<Option<GoldenRun>> {
        if !draft.changes_answers(config) {
            return Ok(None);
        }
        let has_golden = self.db.tenant_tx(tenant, async |tx| Ok(!golden_questions::all(tx).await?.is_empty())).await?;
        if !has_golden {
            return Ok(None);
        }
        let (draft, present) = self.setups(tenant, draft, received_at + PREVIEW_TIMEOUT).await?;
        let mut calls = Vec::new();
        let run = self.run_golden(&draft, &present, &mut calls).await;
        self.record(tenant, &calls).await;
        run.map(Some)
    }

    /// Returns the setup of the draft and that of the configuration in force.
    async fn setups(&self, tenant: Uuid, draft: &ConfigPatch, deadline: Instant) -> Result<(Setup, Setup)> {
        let costs = self.provider.has_model() || !self.embedders.current().is_local();
        let (config, identity, may_use_models) = self
            .db
            .tenant_tx(tenant, async |tx| {
                let config = company_config::get(tx).await?;
                let identity = tenants::identity(tx).await?;
                let may_use_models = costs && self.unconfirmed.models_allowed(tx).await?;
                if may_use_models {
                    let plan = plans::of_tenant(tx).await?;
                    plans::check_spend_cap(&plan, periods::current(tx).await?.spent_micros)?;
                    if usage::calls_today(tx, PURPOSE).await? >= MAX_CALLS_PER_DAY {
                        return Err(limit_reached());
                    }
                }
                Ok((config, identity, may_use_models))
            })
            .await?;
        let provider = if may_use_models { self.provider.clone() } else { Provider::Extractive };
        let present = Setup { tenant, identity, instructions: config.prompt_rag, provider, deadline };
        let mut changed = present.clone();
        if let Some(name) = &draft.ai_name {
            changed.identity.assistant = name.as_str().to_owned();
        }
        if let Some(prompt) = &draft.prompt_rag {
            changed.instructions = prompt.as_ref().map(|prompt: &Prompt| prompt.as_str().to_owned());
        }
        Ok((changed, present))
    }

    /// Records the calls of models in the cost ledger and in the statistics of the day.
    async fn record(&self, tenant: Uuid, calls: &[ModelCall]) {
        if calls.is_empty() {
            return;
        }
        let recorded: Result<()> = self
            .db
            .tenant_tx(tenant, async |tx| {
                usage::record_calls(tx, None, PURPOSE, calls).await?;
                Ok(usage::add(tx, &UsageDelta::default().with_calls(calls)).await?)
            })
            .await;
        if let Err(error) = recorded {
            tracing::error!(error = logging::chain(&error), "the calls of a preview are not recorded");
        }
    }

    /// Answers a question as it would be answered on WhatsApp, without a conversation. Appends the model calls made to
    /// `calls`, also when it fails.
    async fn answer(&self, setup: &Setup, question: &str, calls: &mut Vec<ModelCall>) -> Result<PreviewAnswer> {
        let approved =
            self.db.tenant_tx(setup.tenant, async |tx| Ok(approved_answers::find(tx, question).await?)).await?;
        if let Some(approved) = approved {
            return Ok(PreviewAnswer {
                answer: approved.answer,
                answered: true,
                citations: Vec::new(),
                model: approved_answers::MODEL.to_owned(),
                usage: Usage::default(),
                approved: Some(approved.id),
                has_failed: false,
            });
        }
        let language = text::detect_message_language(question).unwrap_or(setup.identity.language);
        let Some(passages) = self.search(setup, question, language, calls).await? else {
            return Ok(PreviewAnswer::failed(customer_texts::failed(language)));
        };
        Ok(self.complete(setup, question, language, &passages, calls).await)
    }

    /// Retrieves passages for a question; `None` when the question could not be embedded in time.
    async fn search(
        &self,
        setup: &Setup,
        question: &str,
        language: Language,
        calls: &mut Vec<ModelCall>,
    ) -> Result<Option<Vec<Passage>>> {
        let most =
            if setup.provider.has_model() { PASSAGES_FOR_MODEL } else { retrieval::PASSAGES_WITHOUT_MODEL.into() };
        let search = SearchRequest { question, standalone: question, language, documents: None, limit: most };
        let searching = retrieval::embed_and_search(&self.db, &self.embedders, setup.tenant, &search, calls);
        match timeout_at(setup.deadline, searching).await {
            Ok(Ok(passages)) => Ok(Some(passages)),
            Ok(Err(RetrievalError::Database(error))) => Err(error),
            Ok(Err(RetrievalError::Embedding(_))) | Err(_) => Ok(None),
        }
    }

    /// Generates the answer from the passages.
    async fn complete(
        &self,
        setup: &Setup,
        question: &str,
        language: Language,
        passages: &[Passage],
        calls: &mut Vec<ModelCall>,
    ) -> PreviewAnswer {
        let grounded = llm::GroundedQuestion {
            text: question,
            standalone: question,
            history: &[],
            language,
            instructions: setup.instructions.as_deref(),
            assistant: &setup.identity.assistant,
            company: &setup.identity.company,
            style: AnswerStyle::WhatsApp,
            passages,
            deadline: setup.deadline,
        };
        let result = retrieval::answer(&setup.provider, self.embedders.current(), &grounded, None).await;
        calls.extend(result.calls);
        let completion = match result.outcome {
            Ok(completion) => completion,
            Err(LlmError::Blocked(_)) => {
                let declined = PreviewAnswer::failed(customer_texts::will_not_answer(language));
                return PreviewAnswer { has_failed: false, ..declined };
            }
            Err(error) => {
                tracing::warn!(error = logging::chain(&error), "a preview has no answer");
                return PreviewAnswer::failed(customer_texts::failed(language));
            }
        };
        let numbered = (1..).zip(completion.sources);
        let citations = numbered.filter_map(|(number, source)| {
            Some(Citation::new(number, passages.get(source.passage)?, source.quote, language))
        });
        let citations = citations.collect();
        let answered = completion.answer.is_some();
        let refusal = || customer_texts::not_in_the_documents(&setup.identity, language);
        PreviewAnswer {
            answer: completion.answer.unwrap_or_else(refusal),
            answered,
            citations,
            model: completion.model,
            usage: completion.usage,
            approved: None,
            has_failed: false,
        }
    }

    /// Asks all golden questions with the draft, and those that fail with the configuration in force too.
    async fn run_golden(&self, draft: &Setup, present: &Setup, calls: &mut Vec<ModelCall>) -> Result<GoldenRun> {
        let all = self.db.tenant_tx(draft.tenant, async |tx| Ok(golden_questions::all(tx).await?)).await?;
        let asked = stream::iter(all).map(|golden| async move {
            let mut calls = Vec::new();
            let result = self.try_golden(draft, present, &golden, &mut calls).await;
            (result, calls)
        });
        let outcomes: Vec<_> = asked.buffered(CONCURRENT_QUESTIONS).collect().await;
        let mut results = Vec::new();
        let mut failure = None;
        for (result, made) in outcomes {
            calls.extend(made);
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
        draft: &Setup,
        present: &Setup,
        golden: &GoldenQuestion,
        calls: &mut Vec<ModelCall>,
    ) -> Result<GoldenResult> {
        let (answer, failure) = self.judge(draft, golden, calls).await?;
        let is_regression = match failure {
            Some(_) if draft.differs(present) => self.judge(present, golden, calls).await?.1.is_none(),
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
        calls: &mut Vec<ModelCall>,
    ) -> Result<(PreviewAnswer, Option<&'static str>)> {
        let answer = self.answer(setup, &golden.question, calls).await?;
        if answer.has_failed {
            let message = "the golden questions were not answered in time: try again, or send accept_regressions";
            return Err(ApiError { message: message.to_owned(), ..ApiError::unavailable() });
        }
        let failure = failure_of(golden, &answer);
        Ok((answer, failure))
    }
}

/// Purpose of the calls in the cost ledger.
const PURPOSE: &str = "preview";

fn limit_reached() -> ApiError {
    let message = format!("previews may call models {MAX_CALLS_PER_DAY} times a day: try again tomorrow");
    let mut error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "preview_limit", message);
    error.retry_after_s = Some(3_600);
    error
}

impl Setup {
    /// Returns true when two setups may give different answers.
    fn differs(&self, other: &Self) -> bool {
        (&self.instructions, &self.identity.assistant) != (&other.instructions, &other.identity.assistant)
    }
}

impl PreviewAnswer {
    /// The answer of a question that no model answered.
    fn failed(text: &str) -> Self {
        Self {
            answer: text.to_owned(),
            answered: false,
            citations: Vec::new(),
            model: NO_MODEL.to_owned(),
            usage: Usage::default(),
            approved: None,
            has_failed: true,
        }
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
