//! Routes of the answers that a company approved: their list, changes, import and export, and the approval of an answer to
//! an unanswered question.

use axum::{
    extract::{FromRef, FromRequest, Request, State},
    http::{HeaderName, header},
};
use serde::Deserialize;
use serde_json::json;
use shared::{
    approved_answers::{self, AnswerImport, AnswerListing, ApprovedAnswerPatch, NewApprovedAnswer, StoredAnswer},
    auth::{AccountUser, Caller, VerificationKeys},
    db::Db,
    error::{ApiError, Result},
    files,
    function::{Function, HttpFunction},
    http::{Bytes, Created, Data, Envelope, Json, NoContent, Path, Query},
    paging::{List, ListParams, ListParamsOf},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
    unanswered::{self, Approval, ApprovedQuestion},
};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// The `approved-answers` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Headers of an export.
const CSV_HEADERS: [(HeaderName, &str); 3] = [
    // lambda_http passes text on without its byte order mark, by which spreadsheets recognise UTF-8, and a body that names
    // an encoding as bytes.
    (header::CONTENT_ENCODING, "identity"),
    (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
    (header::CONTENT_DISPOSITION, "attachment; filename=\"approved-answers.csv\""),
];

/// Dependencies of the function.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "approved-answers";
    /// Maximum request body, in bytes: a file of as many answers as a company may have. In base64, 4 MiB fit a Lambda event
    /// of 6 MB.
    const BODY_LIMIT: usize = 4 * 1024 * 1024;

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self { limits: RateLimits::read(settings, &db), keys: VerificationKeys::read(settings), db }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new()
            .routes(routes!(list, create))
            .routes(routes!(show, change, remove))
            .routes(routes!(import))
            .routes(routes!(export))
            .routes(routes!(approve))
    }
}

/// Lists the approved answers, the newest first unless another order is given.
#[utoipa::path(
    get, path = "/api/v1/approved-answers", tag = "approved-answers", params(ListParamsOf<AnswerListing>),
    responses((status = 200, body = List<StoredAnswer>)),
)]
async fn list(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Query(params): Query<ListParams>,
) -> Result<List<StoredAnswer>> {
    let paging = params.validate::<AnswerListing>()?;
    db.tenant_tx(caller.tenant(), async |tx| approved_answers::list(tx, &paging).await).await
}

/// Creates an approved answer. Another one with the same wording of the question is in the way: 409 `question_answered`. A
/// company has at most 1,000.
#[utoipa::path(
    post, path = "/api/v1/approved-answers", tag = "approved-answers", request_body = NewApprovedAnswer,
    responses((status = 201, body = Envelope<StoredAnswer>), (status = 409)),
)]
async fn create(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Json(new): Json<NewApprovedAnswer>,
) -> Result<Created<StoredAnswer>> {
    db.tenant_tx(caller.tenant(), async |tx| {
        let created = approved_answers::create(tx, &new).await?;
        unanswered::close_answered(tx, caller.user, created.id).await?;
        caller.record(tx, "approved_answer.created", object(created.id), json!({})).await?;
        Ok(Created(created))
    })
    .await
}

/// Returns an approved answer.
#[utoipa::path(
    get, path = "/api/v1/approved-answers/{id}", tag = "approved-answers",
    params(("id" = Uuid, Path, description = "Identifier of the approved answer")),
    responses((status = 200, body = Envelope<StoredAnswer>), (status = 404)),
)]
async fn show(caller: Caller<AccountUser>, State(db): State<Db>, Path(id): Path<Uuid>) -> Result<Data<StoredAnswer>> {
    db.tenant_tx(caller.tenant(), async |tx| Ok(Data(approved_answers::get(tx, id).await?))).await
}

/// Changes an approved answer.
#[utoipa::path(
    patch, path = "/api/v1/approved-answers/{id}", tag = "approved-answers", request_body = ApprovedAnswerPatch,
    params(("id" = Uuid, Path, description = "Identifier of the approved answer")),
    responses((status = 200, body = Envelope<StoredAnswer>), (status = 404), (status = 409)),
)]
async fn change(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Path(id): Path<Uuid>,
    Json(patch): Json<ApprovedAnswerPatch>,
) -> Result<Data<StoredAnswer>> {
    db.tenant_tx(caller.tenant(), async |tx| {
        let changed = approved_answers::change(tx, id, &patch).await?;
        caller.record(tx, "approved_answer.changed", object(id), json!({})).await?;
        Ok(Data(changed))
    })
    .await
}

/// Deletes an approved answer, with the golden questions that expect it.
#[utoipa::path(
    delete, path = "/api/v1/approved-answers/{id}", tag = "approved-answers",
    params(("id" = Uuid, Path, description = "Identifier of the approved answer")),
    responses((status = 204), (status = 404)),
)]
async fn remove(caller: Caller<AccountUser>, State(db): State<Db>, Path(id): Path<Uuid>) -> Result<NoContent> {
    db.tenant_tx(caller.tenant(), async |tx| {
        approved_answers::delete(tx, id).await?;
        caller.record(tx, "approved_answer.deleted", object(id), json!({})).await?;
        Ok(NoContent)
    })
    .await
}

/// A file to be imported, as a field of JSON.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "csv": "question,answer,language\nLivrez-vous à Bouaké ?,\"Oui, en deux jours.\",fr\n" }))]
struct ImportBody {
    /// Text of the file.
    csv: String,
}

/// A file to be imported: the body itself, or the field `csv` of a JSON body.
struct CsvFile(Vec<u8>);

impl<S: Send + Sync> FromRequest<S> for CsvFile {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default();
        if files::is_csv_type(content_type) {
            let Bytes(file) = Bytes::from_request(request, state).await?;
            return Ok(Self(file.to_vec()));
        }
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/json") {
            let Json(body) = Json::<ImportBody>::from_request(request, state).await?;
            return Ok(Self(body.csv.into_bytes()));
        }
        Err(ApiError::unsupported_media_type("the content type must be text/csv or application/json"))
    }
}

/// Imports approved answers from CSV. The columns are `question`, `answer` and, if wanted, `language`, separated by commas,
/// semicolons or tabs. A file that is not UTF-8 is sent as `application/octet-stream`. A row with the wording of an
/// approved answer replaces its text. With a wrong row, nothing is imported: 422 `rows_refused` lists the lines. A file has
/// at most 1,000 rows.
#[utoipa::path(
    post, path = "/api/v1/approved-answers/import", tag = "approved-answers",
    request_body(content(
        (ImportBody = "application/json"),
        (String = "text/csv", example = "question,answer,language\nLivrez-vous à Bouaké ?,\"Oui, en deux jours.\",fr\n"),
    )),
    responses((status = 200, body = Envelope<AnswerImport>), (status = 409)),
)]
async fn import(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    CsvFile(file): CsvFile,
) -> Result<Data<AnswerImport>> {
    db.tenant_tx(caller.tenant(), async |tx| {
        let report = approved_answers::import_csv(tx, &file).await?;
        let object = format!("customer:{}", caller.tenant());
        caller.record(tx, "approved_answers.imported", object, json!(report)).await?;
        Ok(Data(report))
    })
    .await
}

/// Returns all approved answers as CSV in UTF-8. A text that a spreadsheet would run as a formula has an apostrophe before
/// it, which an import removes.
#[utoipa::path(
    get, path = "/api/v1/approved-answers/export", tag = "approved-answers",
    responses(
        (
            status = 200, body = String, content_type = "text/csv",
            example = "question,answer,language\r\nLivrez-vous à Bouaké ?,\"Oui, en deux jours.\",fr\r\n",
        ),
        (status = 409),
    ),
)]
async fn export(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
) -> Result<([(HeaderName, &'static str); 3], Vec<u8>)> {
    let answers = db.tenant_tx(caller.tenant(), async |tx| Ok(approved_answers::all(tx).await?)).await?;
    Ok((CSV_HEADERS, approved_answers::export_csv(&answers)?))
}

/// Approves an answer to an unanswered question, and closes the question, in one step. The contact is not written to. With
/// `golden`, the question becomes a golden question too. Of two who approve at once, the second gets 409
/// `question_closed`.
#[utoipa::path(
    post, path = "/api/v1/unanswered-questions/{id}/approve", tag = "approved-answers", request_body = Approval,
    params(("id" = Uuid, Path, description = "Identifier of the question")),
    responses((status = 201, body = Envelope<ApprovedQuestion>), (status = 404), (status = 409)),
)]
async fn approve(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Path(id): Path<Uuid>,
    Json(approval): Json<Approval>,
) -> Result<Created<ApprovedQuestion>> {
    db.tenant_tx(caller.tenant(), async |tx| {
        let approved = unanswered::approve(tx, caller.user, id, approval).await?;
        let details = json!({ "question": id });
        caller.record(tx, "approved_answer.created", object(approved.approved_answer.id), details).await?;
        Ok(Created(approved))
    })
    .await
}

fn object(id: Uuid) -> String {
    format!("approved_answer:{id}")
}
