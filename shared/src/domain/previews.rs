//! Previews: answers to test questions with a draft of the configuration, and runs of the golden questions against it.
//! Questions and answers are not stored, and no request of the quota is used. The calls of models are recorded in the cost
//! ledger, since they are paid for, and count against the plan's spend cap. A company asks a limited number of questions a
//! day (`daily_limit`).
//!
//! A test question is answered from documents with `prompt_rag`, or in mode LIVE with a sales prompt. Golden questions are
//! answered from documents: an answer in mode LIVE depends on a conversation.

mod answer;
mod daily_limit;
mod golden_run;

use std::time::Duration;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    company_config::{self, CompanyConfig, ConfigPatch, Prompt},
    db::{Db, TenantTx},
    embeddings::EmbedderRegistry,
    error::{ApiError, Result},
    golden_questions::{self, GoldenQuestion},
    llm::{ModelCall, Provider},
    logging, periods, plans,
    products::{self, Product},
    retrieval::Question,
    settings::Settings,
    tenants::{self, Identity},
    unconfirmed::UnconfirmedLimits,
    usage::{self, UsageDelta},
};

pub use answer::{PreviewAction, PreviewAnswer};
pub use golden_run::{GoldenResult, GoldenRun};

use daily_limit::ReservedQuestions;

/// Time from the receipt of the request to the results. API Gateway's own timeout is 30 s.
pub const PREVIEW_TIMEOUT: Duration = Duration::from_secs(25);
/// Purpose of the calls in the cost ledger.
const PURPOSE: &str = "preview";

/// Mode in which a test question is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PreviewMode {
    /// From the documents, with `prompt_rag`.
    Rag,
    /// As a shop that takes orders, with a sales prompt.
    Live,
}

/// Request for a preview.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "question": "Livrez-vous à Bouaké ?", "draft": { "prompt_rag": "Tutoie les clients." } }))]
pub struct PreviewRequest {
    /// Test question; required without `golden`.
    pub question: Option<Question>,
    /// Mode in which the test question is answered. Without it, `live` for a draft that changes sales prompts and not
    /// `prompt_rag`, else `rag`.
    pub mode: Option<PreviewMode>,
    /// True to run the golden questions. They are answered from the documents, whatever the mode.
    #[serde(default)]
    pub golden: bool,
    /// Draft of the configuration; what it omits is as configured.
    #[serde(default)]
    pub draft: ConfigPatch,
}

impl PreviewRequest {
    fn mode(&self) -> PreviewMode {
        let tries_sales_prompts = self.draft.changes_sales_prompts() && self.draft.prompt_rag.is_none();
        self.mode.unwrap_or(if tries_sales_prompts { PreviewMode::Live } else { PreviewMode::Rag })
    }
}

/// Result of a preview.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "answer": { "answer": "Oui, en deux jours.", "answered": true, "mode": "rag", "prompt": null, "action": "answer",
        "citations": [], "model": "extractive-1", "usage": { "prompt_tokens": 0, "completion_tokens": 0 } },
    "golden": null,
}))]
pub struct Preview {
    /// Answer to the test question; null without one.
    pub answer: Option<PreviewAnswer>,
    /// Run of the golden questions; null when none was asked for.
    pub golden: Option<GoldenRun>,
}

/// The steps of a preview, with the clients that they use.
#[derive(Debug, Clone)]
pub struct PreviewPipeline {
    db: Db,
    embedders: EmbedderRegistry,
    provider: Provider,
    unconfirmed: UnconfirmedLimits,
}

/// The names and prompts of a configuration, and the provider of answers.
#[derive(Debug, Clone)]
struct Setup {
    tenant: Uuid,
    identity: Identity,
    prompt_rag: Option<String>,
    prompt_groq: Option<String>,
    prompt_deepseek: Option<String>,
    provider: Provider,
    /// True when an answer calls a model, for its words or for its search.
    costs: bool,
    deadline: Instant,
}

/// The questions of a preview: the test question, the golden questions, or both.
#[derive(Debug, Clone, Copy)]
struct Scope<'q> {
    /// Mode of the test question; `None` without one.
    question: Option<PreviewMode>,
    /// The test question, empty without one.
    said: &'q str,
    golden: bool,
}

/// A preview that may begin.
#[derive(Debug)]
struct PreparedPreview {
    /// Setup with the draft.
    draft: Setup,
    /// Setup of the configuration in force.
    present: Setup,
    golden: Vec<GoldenQuestion>,
    /// Catalogue and currency, for a test question in mode LIVE.
    shop: Option<Shop>,
    /// Questions that were counted beforehand; `None` where answers cost nothing.
    reserved: Option<ReservedQuestions>,
}

/// The catalogue of a company, with its currency.
#[derive(Debug)]
struct Shop {
    catalogue: Vec<Product>,
    currency: String,
}

/// Model calls and questions of a preview.
#[derive(Debug, Default)]
struct PreviewUsage {
    calls: Vec<ModelCall>,
    /// Questions that were asked of models.
    questions: i32,
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
    /// Returns 422 without a question and without `golden`, 402 when the plan's spend cap is reached, 429 `preview_limit`
    /// when the day's questions are used up, 503 when the golden questions are not answered in time.
    pub async fn preview(&self, tenant: Uuid, request: &PreviewRequest, received_at: Instant) -> Result<Preview> {
        request.draft.validate()?;
        if request.question.is_none() && !request.golden {
            return Err(ApiError::field("question", "is required, or golden with the value true"));
        }
        let scope = Scope {
            question: request.question.as_ref().map(|_| request.mode()),
            said: request.question.as_ref().map_or("", |question| question.as_str()),
            golden: request.golden,
        };
        let prepared = self.prepare(tenant, &request.draft, scope, received_at + PREVIEW_TIMEOUT).await?;
        let mut spent = PreviewUsage::default();
        let answer = match &request.question {
            Some(question) => {
                let setup = &prepared.draft;
                self.answer(setup, prepared.shop.as_ref(), question.as_str(), &mut spent).await.map(Some)
            }
            None => Ok(None),
        };
        let golden = match (&answer, request.golden) {
            (Ok(_), true) => self.run_golden(&prepared, &mut spent).await.map(Some),
            _ => Ok(None),
        };
        self.settle(tenant, prepared.reserved, &spent).await;
        Ok(Preview { answer: answer?, golden: golden? })
    }

    /// Runs the golden questions against a draft that is about to be saved. Returns `None` when the draft changes no
    /// answer.
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
            return Ok(Some(GoldenRun::default()));
        }
        let scope = Scope { question: None, said: "", golden: true };
        let prepared = self.prepare(tenant, draft, scope, received_at + PREVIEW_TIMEOUT).await?;
        let mut spent = PreviewUsage::default();
        let run = self.run_golden(&prepared, &mut spent).await;
        self.settle(tenant, prepared.reserved, &spent).await;
        run.map(Some)
    }

    /// Reads what a preview needs, and counts its questions before they are asked: of several previews at once, none goes
    /// beyond the day's limit.
    async fn prepare(
        &self,
        tenant: Uuid,
        draft: &ConfigPatch,
        scope: Scope<'_>,
        deadline: Instant,
    ) -> Result<PreparedPreview> {
        let costs = self.provider.has_model() || !self.embedders.current().is_local();
        self.db
            .tenant_tx(tenant, async |tx| {
                let config = company_config::get(tx).await?;
                let identity = tenants::identity(tx).await?;
                let may_use_models = costs && self.unconfirmed.models_allowed(tx).await?;
                let provider = if may_use_models { self.provider.clone() } else { Provider::Extractive };
                let present = Setup::of(tenant, identity, &config, provider, may_use_models, deadline);
                let draft = present.with_draft(draft);
                let golden = if scope.golden { golden_questions::all(tx).await? } else { Vec::new() };
                let shop = match scope.question {
                    Some(PreviewMode::Live) => Some(Shop {
                        catalogue: products::list_available(tx, scope.said).await?,
                        currency: tenants::currency(tx).await?,
                    }),
                    _ => None,
                };
                let reserved = if may_use_models {
                    let runs = if draft.answers_differ(&present) { 2 } else { 1 };
                    let questions = usize::from(scope.question.is_some()) + golden.len() * runs;
                    Some(reserve(tx, questions).await?)
                } else {
                    None
                };
                Ok(PreparedPreview { draft, present, golden, shop, reserved })
            })
            .await
    }

    /// Records the calls of models in the cost ledger and in the statistics of the day, and gives back the questions that
    /// were counted and not asked.
    async fn settle(&self, tenant: Uuid, reserved: Option<ReservedQuestions>, spent: &PreviewUsage) {
        let Some(reserved) = reserved else { return };
        let settled: Result<()> = self
            .db
            .tenant_tx(tenant, async |tx| {
                daily_limit::give_back(tx, reserved, spent.questions).await?;
                usage::record_calls(tx, None, PURPOSE, &spent.calls).await?;
                Ok(usage::add(tx, &UsageDelta::default().with_calls(&spent.calls)).await?)
            })
            .await;
        if let Err(error) = settled {
            tracing::error!(error = logging::chain(&error), "the calls of a preview are not recorded");
        }
    }
}

/// Checks the plan's spend cap, and counts questions that are about to be asked of models.
async fn reserve(tx: &mut TenantTx, questions: usize) -> Result<ReservedQuestions> {
    let plan = plans::of_tenant(tx).await?;
    plans::check_spend_cap(&plan, periods::current(tx).await?.spent_micros)?;
    daily_limit::reserve(tx, i32::try_from(questions).unwrap_or(i32::MAX)).await?.ok_or_else(|| {
        let message = format!(
            "{questions} questions are too many for today: previews ask models {} questions a day",
            daily_limit::MAX_QUESTIONS_PER_DAY
        );
        let mut error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "preview_limit", message);
        error.retry_after_s = Some(3_600);
        error
    })
}

impl Setup {
    fn of(
        tenant: Uuid,
        identity: Identity,
        config: &CompanyConfig,
        provider: Provider,
        costs: bool,
        deadline: Instant,
    ) -> Self {
        Self {
            tenant,
            identity,
            prompt_rag: config.prompt_rag.clone(),
            prompt_groq: config.prompt_botlive_groq_70b.clone(),
            prompt_deepseek: config.prompt_botlive_deepseek_v3.clone(),
            provider,
            costs,
            deadline,
        }
    }

    /// Returns the setup with the names and prompts of a draft.
    fn with_draft(&self, draft: &ConfigPatch) -> Self {
        let mut changed = self.clone();
        if let Some(name) = &draft.ai_name {
            changed.identity.assistant = name.as_str().to_owned();
        }
        if let Some(name) = &draft.company_name {
            changed.identity.company = name.as_str().to_owned();
        }
        let text = |prompt: &Option<Prompt>| prompt.as_ref().map(|prompt| prompt.as_str().to_owned());
        if let Some(prompt) = &draft.prompt_rag {
            changed.prompt_rag = text(prompt);
        }
        if let Some(prompt) = &draft.prompt_botlive_groq_70b {
            changed.prompt_groq = text(prompt);
        }
        if let Some(prompt) = &draft.prompt_botlive_deepseek_v3 {
            changed.prompt_deepseek = text(prompt);
        }
        changed
    }

    /// Returns true when two setups may give different answers from the documents.
    fn answers_differ(&self, other: &Self) -> bool {
        let words =
            |setup: &Self| (setup.prompt_rag.clone(), setup.identity.assistant.clone(), setup.identity.company.clone());
        words(self) != words(other)
    }
}
