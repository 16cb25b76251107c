//! Routes of the configuration of a company's assistant: its versions, previews of a draft, and golden questions.

use axum::extract::{FromRef, State};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::{
    auth::{AccountUser, Caller, VerificationKeys},
    company_config::{self, CompanyConfig, ConfigPatch, ConfigVersion, VersionListing},
    db::Db,
    error::{ApiError, Result},
    function::{Function, HttpFunction},
    golden_questions::{self, GoldenListing, GoldenQuestion, NewGoldenQuestion},
    http::{Created, Data, Envelope, Json, NoContent, Path, Query, ReceivedAt},
    paging::{List, ListParams, ListParamsOf},
    previews::{Preview, PreviewPipeline, PreviewRequest},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
};
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// The `company-config` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Dependencies of the function.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
    previews: PreviewPipeline,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "company-config";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self {
            limits: RateLimits::read(settings, &db),
            keys: VerificationKeys::read(settings),
            previews: PreviewPipeline::read(settings, &db),
            db,
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new()
            .routes(routes!(show, change))
            .routes(routes!(list_versions))
            .routes(routes!(restore))
            .routes(routes!(preview))
            .routes(routes!(list_golden, create_golden))
            .routes(routes!(delete_golden))
    }
}

/// Returns the configuration of the assistant.
#[utoipa::path(
    get, path = "/api/v1/companies/me/config", tag = "company-config",
    responses((status = 200, body = Envelope<CompanyConfig>)),
)]
async fn show(caller: Caller<AccountUser>, State(db): State<Db>) -> Result<Data<CompanyConfig>> {
    db.tenant_tx(caller.tenant(), async |tx| Ok(Data(company_config::get(tx).await?))).await
}

/// Changes the configuration of the assistant, and makes a version of it. A prompt, or a name of the assistant, with which
/// golden questions fail that pass now is refused with 409 `golden_regressions`, unless `accept_regressions` is true.
#[utoipa::path(
    patch, path = "/api/v1/companies/me/config", tag = "company-config", request_body = ConfigPatch,
    responses((status = 200, body = Envelope<CompanyConfig>), (status = 402), (status = 409)),
)]
async fn change(
    caller: Caller<AccountUser>,
    State(deps): State<Deps>,
    ReceivedAt(received_at): ReceivedAt,
    Json(patch): Json<ConfigPatch>,
) -> Result<Data<CompanyConfig>> {
    patch.validate()?;
    deps.save(&caller, &patch, received_at, json!({})).await
}

/// Lists the last 20 changes of the configuration, whoever made them, the newest first: time, author and what differs. The
/// front ends change prompts through Supabase; their changes are listed too.
#[utoipa::path(
    get, path = "/api/v1/companies/me/config/versions", tag = "company-config", params(ListParamsOf<VersionListing>),
    responses((status = 200, body = List<ConfigVersion>)),
)]
async fn list_versions(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Query(params): Query<ListParams>,
) -> Result<List<ConfigVersion>> {
    let paging = params.validate::<VersionListing>()?;
    db.tenant_tx(caller.tenant(), async |tx| company_config::list_versions(tx, &paging).await).await
}

/// Request for the restoration of a version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "accept_regressions": true }))]
struct Restoration {
    /// True to restore a prompt although golden questions that pass now would fail.
    #[serde(default)]
    accept_regressions: bool,
}

/// Restores the configuration from before a change. The restoration is a change too. The company's name and its sentences
/// stay as they are.
#[utoipa::path(
    post, path = "/api/v1/companies/me/config/versions/{id}/restore", tag = "company-config",
    params(("id" = i64, Path, description = "Identifier of the version")), request_body = Restoration,
    responses((status = 200, body = Envelope<CompanyConfig>), (status = 402), (status = 404), (status = 409)),
)]
async fn restore(
    caller: Caller<AccountUser>,
    State(deps): State<Deps>,
    ReceivedAt(received_at): ReceivedAt,
    Path(id): Path<i64>,
    Json(restoration): Json<Restoration>,
) -> Result<Data<CompanyConfig>> {
    let patch = deps
        .db
        .tenant_tx(caller.tenant(), async |tx| {
            company_config::restore_patch(tx, id, restoration.accept_regressions).await
        })
        .await?;
    deps.save(&caller, &patch, received_at, json!({ "restored_version": id })).await
}

/// Answers a test question with a draft of the configuration, or runs the golden questions against it, or both. Questions
/// and answers are not stored, and the quota is not used. A model that is asked is paid for: its cost counts against the
/// plan's spend cap, and previews ask models at most 300 questions a day. A draft of a sales prompt is tried in mode LIVE, as
/// to a contact without orders; the answer names the mode and the prompt. Without a model, nobody is told a prompt.
#[utoipa::path(
    post, path = "/api/v1/companies/me/config/preview", tag = "company-config", request_body = PreviewRequest,
    responses((status = 200, body = Envelope<Preview>), (status = 402)),
)]
async fn preview(
    caller: Caller<AccountUser>,
    State(previews): State<PreviewPipeline>,
    ReceivedAt(received_at): ReceivedAt,
    Json(request): Json<PreviewRequest>,
) -> Result<Data<Preview>> {
    Ok(Data(previews.preview(caller.tenant(), &request, received_at).await?))
}

/// Lists the golden questions of the company, the newest first unless another order is given.
#[utoipa::path(
    get, path = "/api/v1/golden-questions", tag = "company-config", params(ListParamsOf<GoldenListing>),
    responses((status = 200, body = List<GoldenQuestion>)),
)]
async fn list_golden(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Query(params): Query<ListParams>,
) -> Result<List<GoldenQuestion>> {
    let paging = params.validate::<GoldenListing>()?;
    db.tenant_tx(caller.tenant(), async |tx| golden_questions::list(tx, &paging).await).await
}

/// Creates a golden question: a question with the document and page that its answer cites, or with the approved answer that
/// is given. A company has at most 30: 409 `too_many_golden_questions`.
#[utoipa::path(
    post, path = "/api/v1/golden-questions", tag = "company-config", request_body = NewGoldenQuestion,
    responses((status = 201, body = Envelope<GoldenQuestion>), (status = 404), (status = 409)),
)]
async fn create_golden(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Json(new): Json<NewGoldenQuestion>,
) -> Result<Created<GoldenQuestion>> {
    db.tenant_tx(caller.tenant(), async |tx| {
        let created = golden_questions::create(tx, &new).await?;
        let object = format!("golden_question:{}", created.id);
        caller.record(tx, "golden_question.created", object, json!({})).await?;
        Ok(Created(created))
    })
    .await
}

/// Deletes a golden question.
#[utoipa::path(
    delete, path = "/api/v1/golden-questions/{id}", tag = "company-config",
    params(("id" = Uuid, Path, description = "Identifier of the golden question")),
    responses((status = 204), (status = 404)),
)]
async fn delete_golden(caller: Caller<AccountUser>, State(db): State<Db>, Path(id): Path<Uuid>) -> Result<NoContent> {
    db.tenant_tx(caller.tenant(), async |tx| {
        golden_questions::delete(tx, id).await?;
        caller.record(tx, "golden_question.deleted", format!("golden_question:{id}"), json!({})).await?;
        Ok(NoContent)
    })
    .await
}

impl Deps {
    /// Tries the golden questions with a patch, and saves it.
    async fn save(
        &self,
        caller: &Caller<AccountUser>,
        patch: &ConfigPatch,
        received_at: Instant,
        mut details: Value,
    ) -> Result<Data<CompanyConfig>> {
        let tenant = caller.tenant();
        let config = self.db.tenant_tx(tenant, async |tx| Ok(company_config::get(tx).await?)).await?;
        // Outside of any transaction: models may be asked. An accepted regression is not tried: a save must not depend on
        // models that are down.
        let run = if patch.accept_regressions {
            None
        } else {
            self.previews.try_draft(tenant, &config, patch, received_at).await?
        };
        if let Some(run) = run.as_ref().filter(|run| run.regressions > 0) {
            return Err(run.refusal());
        }
        self.db
            .tenant_tx(tenant, async |tx| {
                let (config, fields) = company_config::change(tx, caller.user, patch, &config).await?;
                if let Some(run) = &run {
                    // Under the lock of the change, for which the creation of a golden question waits.
                    if !run.covers(&golden_questions::all(tx).await?) {
                        let message = "golden questions were added in the meantime: try again";
                        return Err(ApiError::conflict("golden_questions_changed", message));
                    }
                    golden_questions::store_results(tx, &run.passes()).await?;
                }
                if !fields.is_empty() {
                    details["fields"] = json!(fields);
                    caller.record(tx, "config.changed", format!("customer:{tenant}"), details).await?;
                }
                Ok(Data(config))
            })
            .await
    }
}
