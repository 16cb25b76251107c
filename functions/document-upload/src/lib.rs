//! `POST /api/v1/documents/upload`: presigns the upload of a file of up to 20 MiB, or accepts a file of up to 4 MiB in
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
    db::{Db, TenantTx},
    documents::{self, Document, Filename, MAX_BYTES, NewDocument, SameName, StoredObject, UPLOAD_URL_LIFETIME},
    error::{ApiError, FieldError, Result},
    files::FileFormat,
    function::{Function, HttpFunction},
    http::{Created, Data, Envelope, Json, PreferredLanguage},
    logging,
    rate_limits::RateLimits,
    routes,
    settings::Settings,
    storage::Storage,
    text::Language,
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

/// Announcement of a file to be uploaded.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "filename": "guide-livraison.pdf", "size_bytes": 5120 }))]
struct Announcement {
    /// File name shown to the tenant. Its extension says the format: `pdf`, `docx`, `xlsx`, `csv`, `txt`, `md` or `html`.
    /// Without one of these, the file is a PDF.
    filename: Filename,
    /// Exact size of the file, in bytes. S3 refuses an upload of another size.
    #[schema(minimum = 1, maximum = 20_971_520)]
    size_bytes: i64,
    /// SHA-256 of the file, in hexadecimal. When the company has a processed document with this hash, that document
    /// is returned and nothing is announced.
    #[schema(min_length = 64, max_length = 64, pattern = "^[0-9a-fA-F]{64}$")]
    sha256: Option<String>,
    /// An older document of the company that this one replaces: the older one is deleted in the moment in which this one
    /// is processed.
    replaces: Option<Uuid>,
}

impl Announcement {
    fn validated(self, language: Language) -> Result<NewDocument> {
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
        let format = named_format(&self.filename, language)?;
        Ok(NewDocument { filename: self.filename, format, bytes: self.size_bytes, sha256, replaces: self.replaces })
    }
}

/// Returns the format that a file's name says; 415 with advice for kinds of files that are not read.
fn named_format(filename: &Filename, language: Language) -> Result<FileFormat> {
    filename.format().map_err(|kind| ApiError::unsupported_media_type(kind.advice(language)))
}

fn too_large() -> ApiError {
    ApiError::payload_too_large(MAX_BYTES)
}

/// The document, and the request that uploads its file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "document": {
        "id": "0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01", "filename": "guide-livraison.pdf", "format": "pdf", "bytes": 5120,
        "sha256": null, "status": "pending", "pages_total": null, "pages_done": 0, "pages_unread": [], "replaces": [],
        "warning": null, "error_code": null, "error": null, "upload_date": "2026-11-23T09:30:06Z",
    },
    "upload": {
        "method": "PUT", "url": "https://bucket.s3.eu-west-1.amazonaws.com/tenants/…?X-Amz-Signature=…",
        "headers": { "content-length": "5120", "content-type": "application/pdf", "if-none-match": "*" },
        "expires_at": "2026-11-23T09:45:06Z",
    },
    "same_name": [], "warning": null,
}))]
struct Upload {
    /// The new document, or the processed one with the same bytes.
    document: Document,
    /// Null when no upload is needed: the file was sent with the request, or was processed before.
    upload: Option<Put>,
    /// Other documents of the same name that stand beside this one, the newest first. Their passages go behind those of
    /// the newest one, and answers name the date of the one that they cite. `POST /api/v1/documents/{id}/replace`
    /// replaces one of them.
    same_name: Vec<SameName>,
    /// Advice about documents of the same name, in the caller's language; null when there are none.
    warning: Option<String>,
}

/// Presigned PUT request for the bytes of the file.
#[derive(Debug, Serialize, ToSchema)]
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
#[schema(example = json!({ "file": "the bytes of the file" }))]
#[expect(dead_code, reason = "describes the form in openapi.json")]
struct Form {
    /// The file, at most 4 MiB.
    #[schema(format = Binary, content_media_type = "application/octet-stream")]
    file: String,
    /// An older document of the company that this one replaces.
    replaces: Option<Uuid>,
}

/// Announces a file and returns a presigned PUT request for its upload. Accepts a file of at most 4 MiB directly in the
/// field `file` of a form. A file is a PDF, a Word document (`docx`), an Excel workbook (`xlsx`), CSV, plain text,
/// Markdown or HTML, as its name and its content say.
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
        let (new, file) = multipart::read(request, language).await?;
        (new, Some(file))
    } else {
        let Json(announcement) = Json::<Announcement>::from_request(request, &()).await?;
        (announcement.validated(language)?, None)
    };
    let tenant = caller.tenant();
    let content_type = new.format.content_type();
    let known = deps.db.tenant_tx(tenant, async |tx| Ok(documents::find_processed(tx, &new, language).await?)).await?;
    if known.is_none() {
        // The document counts when it is read.
        deps.unconfirmed.ensure_document_left(&deps.db, tenant).await?;
    }
    let announced = deps
        .db
        .tenant_tx(tenant, async |tx| {
            if let Some(document) = documents::find_processed(tx, &new, language).await? {
                let (document, objects) = match new.replaces {
                    Some(replaced) if replaced != document.id => {
                        documents::replace(tx, document.id, replaced, language).await?
                    }
                    _ => (document, Vec::new()),
                };
                return Ok(Announced::Known(Upload::of(tx, document, language).await?, objects));
            }
            let announced = documents::announce(tx, new, language).await?;
            Ok(Announced::New(Upload::of(tx, announced.document, language).await?, announced.storage_key))
        })
        .await?;
    let (mut response, storage_key, content_type) = match announced {
        Announced::New(response, storage_key) => (response, storage_key, content_type),
        Announced::Known(response, objects) => {
            documents::delete_files(&deps.db, &deps.storage, tenant, &objects).await?;
            return Ok(Data(response).into_response());
        }
    };
    match file {
        Some(file) => {
            if let Err(error) = deps.storage.put(&storage_key, content_type, file).await {
                withdraw(&deps, tenant, response.document.id).await;
                return Err(error.into());
            }
        }
        None => {
            response.upload = Some(presign(&deps.storage, &storage_key, content_type, response.document.bytes).await?)
        }
    }
    Ok(Created(response).into_response())
}

/// Outcome of the transaction of an upload.
enum Announced {
    /// The file is to be stored under this key.
    New(Upload, String),
    /// The bytes were processed before. Holds the files of documents that were replaced.
    Known(Upload, Vec<StoredObject>),
}

impl Upload {
    /// Makes the response without a presigned request.
    async fn of(tx: &mut TenantTx, document: Document, language: Language) -> Result<Self> {
        let same_name = documents::same_name(tx, document.id).await?;
        let warning = same_name.first().map(|newest| same_name_warning(&document, newest, language));
        Ok(Self { document, upload: None, same_name, warning })
    }
}

/// Returns the advice about documents of the same name: in French, or in English for any other language.
fn same_name_warning(document: &Document, newest: &SameName, language: Language) -> String {
    let (name, id, other) = (&newest.filename, document.id, newest.id);
    match language {
        Language::French => {
            let date = newest.upload_date.format("%d/%m/%Y");
            format!(
                "Un document du nom de {name} existe déjà (version du {date}). Pour le remplacer par celui-ci : \
                 POST /api/v1/documents/{id}/replace avec {{\"replaces\": \"{other}\"}}. Tant que les deux existent, le plus \
                 récent passe en premier et les réponses indiquent la date de leur version."
            )
        }
        _ => {
            let date = newest.upload_date.format("%Y-%m-%d");
            format!(
                "A document named {name} exists already (version of {date}). To replace it by this one: \
                 POST /api/v1/documents/{id}/replace with {{\"replaces\": \"{other}\"}}. While both stand, the newer one \
                 goes first and answers name the date of their version."
            )
        }
    }
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

async fn presign(storage: &Storage, storage_key: &str, content_type: &str, bytes: i64) -> Result<Put> {
    let expires_at = shared::clock::now() + UPLOAD_URL_LIFETIME;
    let put = storage.presign_put(storage_key, bytes, content_type, UPLOAD_URL_LIFETIME).await?;
    Ok(Put { method: "PUT", url: put.url, headers: put.headers.into_iter().collect(), expires_at })
}
