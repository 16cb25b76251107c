//! `POST /api/v1/documents/upload`: presigns the upload of a PDF of up to 20 MiB, or accepts a PDF of up to 4 MiB in
//! a form. Both ways store one object, and S3's event of its creation starts the ingestion.

mod multipart;
mod part_name;

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
    documents::{self, Document, Filename, MAX_BYTES, NewDocument, UPLOAD_URL_LIFETIME},
    error::{ApiError, FieldError, Result},
    function::{Function, HttpFunction},
    http::{Created, Data, Envelope, Json, PreferredLanguage},
    logging,
    rate_limits::RateLimits,
    routes,
    settings::Settings,
    storage::Storage,
    unconfirmed::UnconfirmedLimits,
};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// The `document-upload` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Dependencies of the function.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
    storage: Storage,
    unconfirmed: UnconfirmedLimits,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "document-upload";
    /// Maximum request body, in bytes: a file of 4 MiB and its form. In base64, this fits a Lambda event of 6 MB.
    const BODY_LIMIT: usize = multipart::MAX_FORM_FILE_BYTES + 16 * 1024;

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self {
            limits: RateLimits::read(settings, &db),
            db,
            keys: VerificationKeys::read(settings),
            storage: Storage::read(settings),
            unconfirmed: UnconfirmedLimits::read(settings),
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(upload))
    }
}

/// Announcement of a PDF to be uploaded.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "filename": "guide-livraison.pdf", "size_bytes": 5120 }))]
struct Announcement {
    /// File name shown to the tenant.
    filename: Filename,
    /// Exact size of the file, in bytes. S3 refuses an upload of another size.
    #[schema(minimum = 1, maximum = 20_971_520)]
    size_bytes: i64,
    /// SHA-256 of the file, in hexadecimal. When the company has a processed document with this hash, that document
    /// is returned and nothing is announced.
    #[schema(min_length = 64, max_length = 64, pattern = "^[0-9a-fA-F]{64}$")]
    sha256: Option<String>,
}

impl Announcement {
    fn validated(self) -> Result<NewDocument> {
        let mut field_errors = Vec::new();
        if self.size_bytes < 1 {
            field_errors.push(FieldError::new("size_bytes", "must be 1 or more"));
        }
        let sha256 = self.sha256.map(|text| {
            let mut hash = [0; 32];
            if hex::decode_to_slice(&text, &mut hash).is_err() {
                field_errors.push(FieldError::new("sha256", "must be 64 hexadecimal digits"));
            }
            hash
        });
        if !field_errors.is_empty() {
            return Err(ApiError::validation(field_errors));
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

/// The document, and the request that uploads its file.
#[derive(Debug, Serialize, ToSchema)]
struct Upload {
    /// The new document, or the processed one with the same bytes.
    document: Document,
    /// Null when no upload is needed: the file was sent with the request, or was processed before.
    upload: Option<Put>,
}

/// Presigned PUT request for the bytes of the file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "method": "PUT", "url": "https://bucket.s3.eu-west-1.amazonaws.com/tenants/…?X-Amz-Signature=…",
    "headers": { "content-length": "5120", "content-type": "application/pdf", "if-none-match": "*" },
    "expires_at": "2026-11-23T09:45:06Z",
}))]
struct Put {
    /// Always `PUT`.
    method: &'static str,
    /// Presigned URL.
    url: String,
    /// Headers to be sent unchanged: they are part of the signature.
    headers: std::collections::BTreeMap<String, String>,
    /// Time after which S3 refuses the URL.
    expires_at: DateTime<Utc>,
}

/// Form with the file itself.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form in openapi.json")]
struct Form {
    /// The PDF, at most 4 MiB.
    #[schema(format = Binary, content_media_type = "application/pdf")]
    file: String,
}

/// Announces a PDF and returns a presigned PUT request for its upload. Accepts a PDF of at most 4 MiB directly in the
/// field `file` of a form.
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
    PreferredLanguage(language): PreferredLanguage,
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
    if let Some(sha256) = &new.sha256 {
        let known = deps.db.tenant_tx(tenant, async |tx| Ok(documents::find_processed(tx, sha256, language).await?));
        if let Some(document) = known.await? {
            return Ok(Data(Upload { document, upload: None }).into_response());
        }
    }
    // The document counts when it is read.
    deps.unconfirmed.ensure_document_left(&deps.db, tenant).await?;
    let announced = deps.db.tenant_tx(tenant, async |tx| Ok(documents::announce(tx, new, language).await?)).await?;
    let upload = match file {
        Some(file) => match deps.storage.put(&announced.storage_key, file).await {
            Ok(()) => None,
            Err(error) => {
                withdraw(&deps, tenant, announced.document.id).await;
                return Err(error.into());
            }
        },
        None => Some(presign(&deps.storage, &announced).await?),
    };
    Ok(Created(Upload { document: announced.document, upload }).into_response())
}

/// Deletes the announcement of a file that could not be stored, so that a refused upload leaves nothing. Storage may
/// still take the file: without a document, the ingest worker and the deletion job remove it.
async fn withdraw(deps: &Deps, tenant: Uuid, document: Uuid) {
    let deleted = deps.db.tenant_tx(tenant, async |tx| Ok(documents::delete(tx, document).await?)).await;
    if let Err(error) = deleted {
        // Maintenance marks the remaining row as `not_uploaded`, unless the file arrived.
        tracing::warn!(document_id = %document, error = logging::chain(&error), "an announcement is left");
    }
}

async fn presign(storage: &Storage, announced: &documents::PendingUpload) -> Result<Put> {
    let expires_at = Utc::now() + UPLOAD_URL_LIFETIME;
    let put = storage.presign_put(&announced.storage_key, announced.document.bytes, UPLOAD_URL_LIFETIME).await?;
    Ok(Put { method: "PUT", url: put.url, headers: put.headers.into_iter().collect(), expires_at })
}
