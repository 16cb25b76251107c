//! `POST /api/v1/documents/upload`: a place to put a PDF of up to 20 MiB, or a PDF of up to 4 MiB taken directly. Both
//! end in the same object, whose arrival starts the ingestion.

mod multipart;

use std::time::Duration;

use axum::{
    extract::{FromRef, FromRequest, Request, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::{
    auth::{AccountUser, Caller, VerificationKeys},
    db::Db,
    documents::{self, Document, Filename, MAX_BYTES, NewDocument},
    error::{ApiError, FieldError, Result},
    function::{Function, HttpFunction},
    http::{Created, Data, Envelope, Json, Preferred},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
    storage::Storage,
};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

/// The function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// How long the place is kept free.
const UPLOAD_TIME: Duration = Duration::from_secs(15 * 60);

/// What it needs.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
    storage: Storage,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "document-upload";
    /// A file of 4 MiB and the form around it; in base64 that is what fits a Lambda event of 6 MB.
    const BODY_LIMIT: usize = multipart::MAX_BYTES + 16 * 1024;

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self {
            limits: RateLimits::read(settings, &db),
            db,
            keys: VerificationKeys::read(settings),
            storage: Storage::read(settings),
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(upload))
    }
}

/// A file that will be put.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "filename": "guide-livraison.pdf", "size_bytes": 5120 }))]
struct Announcement {
    filename: Filename,
    /// Its exact size; another one is refused when it is put.
    #[schema(minimum = 1, maximum = 20_971_520)]
    size_bytes: i64,
    /// In hexadecimal; a file that was processed before is found by it.
    #[schema(min_length = 64, max_length = 64)]
    sha256: Option<String>,
}

impl Announcement {
    fn validated(self) -> Result<NewDocument> {
        let mut wrong = Vec::new();
        if self.size_bytes < 1 {
            wrong.push(FieldError::new("size_bytes", "must be 1 or more"));
        }
        let sha256 = self.sha256.map(|text| {
            let mut hash = [0; 32];
            if hex::decode_to_slice(&text, &mut hash).is_err() {
                wrong.push(FieldError::new("sha256", "must be 64 hexadecimal digits"));
            }
            hash
        });
        if !wrong.is_empty() {
            return Err(ApiError::validation(wrong));
        }
        if usize::try_from(self.size_bytes).unwrap_or(usize::MAX) > MAX_BYTES {
            return Err(too_large());
        }
        Ok(NewDocument { filename: self.filename, bytes: self.size_bytes, sha256 })
    }
}

fn too_large() -> ApiError {
    ApiError::payload_too_large(MAX_BYTES)
}

/// The document, and where to put its file.
#[derive(Debug, Serialize, ToSchema)]
struct Upload {
    document: Document,
    /// Null when the file was sent with the request.
    upload: Option<Put>,
}

/// One PUT of the file's bytes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "method": "PUT", "url": "https://bucket.s3.eu-west-1.amazonaws.com/tenants/…?X-Amz-Signature=…",
    "headers": { "content-length": "5120", "content-type": "application/pdf", "if-none-match": "*" },
    "expires_at": "2026-11-23T09:45:06Z",
}))]
struct Put {
    /// Always `PUT`.
    method: &'static str,
    url: String,
    /// To be sent exactly so: they are signed.
    headers: std::collections::BTreeMap<String, String>,
    /// After this the URL is refused.
    expires_at: DateTime<Utc>,
}

/// What is sent when the file itself is.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the form in openapi.json")]
struct Form {
    /// The PDF, at most 4 MiB.
    #[schema(format = Binary, content_media_type = "application/pdf")]
    file: String,
}

/// Announces a PDF and returns where to put it; or takes a small one from a form, under the field `file`.
#[utoipa::path(
    post, path = "/api/v1/documents/upload", tag = "documents",
    request_body(content((Announcement = "application/json"), (Form = "multipart/form-data"))),
    responses(
        (status = 201, description = "Announced, or taken", body = Envelope<Upload>),
        (status = 200, description = "The same bytes were processed before", body = Envelope<Upload>),
        (status = 402),
    ),
)]
async fn upload(
    caller: Caller<AccountUser>,
    State(deps): State<Deps>,
    Preferred(language): Preferred,
    headers: HeaderMap,
    request: Request,
) -> Result<Response> {
    let is_form = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.to_str().unwrap_or_default().to_ascii_lowercase().starts_with("multipart/form-data"));
    let (new, file) = if is_form {
        let (new, file) = multipart::read(request).await?;
        (new, Some(file))
    } else {
        let Json(announcement) = Json::<Announcement>::from_request(request, &()).await?;
        (announcement.validated()?, None)
    };
    let tenant = caller.tenant();
    let announced = deps
        .db
        .tenant(tenant, async |tx| {
            if let Some(sha256) = &new.sha256
                && let Some(document) = documents::find_processed(tx, sha256, language).await?
            {
                return Ok(Err(document));
            }
            Ok::<_, ApiError>(Ok(documents::announce(tx, new, language).await?))
        })
        .await?;
    let announced = match announced {
        Ok(announced) => announced,
        Err(document) => return Ok(Data(Upload { document, upload: None }).into_response()),
    };
    let upload = match file {
        // Should this fail, the client tries again, and the row that is left ends as `not_uploaded`.
        Some(file) => deps.storage.put(&announced.storage_key, file).await.map(|()| None)?,
        None => Some(presign(&deps.storage, &announced).await?),
    };
    Ok(Created(Upload { document: announced.document, upload }).into_response())
}

async fn presign(storage: &Storage, announced: &documents::Announced) -> Result<Put> {
    let expires_at = Utc::now() + UPLOAD_TIME;
    let put = storage.presign_put(&announced.storage_key, announced.document.bytes, UPLOAD_TIME).await?;
    Ok(Put { method: "PUT", url: put.url, headers: put.headers.into_iter().collect(), expires_at })
}
