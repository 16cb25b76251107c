//! Reads a small file from a multipart form.

use axum::{
    extract::{FromRequest, Multipart, Request},
    http::{StatusCode, header},
};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use shared::{
    documents::{Filename, NewDocument},
    error::{ApiError, FieldError, Result},
    files::{self, FileFormat},
    http,
    text::Language,
};
use uuid::Uuid;

use crate::{named_format, part_name::PartNames};

/// Maximum size of a file in a form, in bytes: 4 MiB.
pub(crate) const MAX_FORM_FILE_BYTES: usize = 4 * 1024 * 1024;
/// Maximum size of a part's `Content-Disposition`, in bytes. The time to decode its names grows with its square.
const MAX_DISPOSITION_BYTES: usize = 8 * 1024;

/// Reads the file in the form's field `file`, and the id in its field `replaces`.
///
/// # Errors
/// Returns 400 for a malformed form, 413 for a file over 4 MiB, 415 for a file that is not what its name says, and 422 for an
/// unusable file name or id, for no file and for several files.
pub(crate) async fn read(request: Request, language: Language) -> Result<(NewDocument, Bytes)> {
    // This project's body limit comes before axum's: it refuses by the declared length, before anything is parsed.
    let (parts, body) = request.into_parts();
    let http::Bytes(body) = http::Bytes::from_request(Request::from_parts(parts.clone(), body), &()).await?;
    let request = Request::from_parts(parts, body.into());
    let mut form = Multipart::from_request(request, &()).await.map_err(|error| malformed(error.body_text()))?;
    let (mut sent, mut replaces) = (None, None);
    while let Some(field) = form.next_field().await.map_err(|error| malformed(error.body_text()))? {
        let header = field.headers().get(header::CONTENT_DISPOSITION);
        if header.is_some_and(|header| header.len() > MAX_DISPOSITION_BYTES) {
            return Err(malformed(format!("a Content-Disposition is longer than {MAX_DISPOSITION_BYTES} bytes")));
        }
        let names = header.map(|header| PartNames::read(header.as_bytes())).unwrap_or_default();
        if names.field.as_deref() == Some("replaces") {
            let text = field.text().await.map_err(|error| malformed(error.body_text()))?;
            let id = Uuid::try_parse(text.trim()).or(Err(ApiError::field("replaces", "must be a document's id")))?;
            replaces = Some(id);
            continue;
        }
        if names.field.as_deref() != Some("file") {
            continue;
        }
        if sent.is_some() {
            return Err(ApiError::field("file", "must be one file: send each with a request of its own"));
        }
        let filename = names.file.unwrap_or_default();
        let file = field.bytes().await.map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::payload_too_large(MAX_FORM_FILE_BYTES),
            _ => malformed(error.body_text()),
        })?;
        sent = Some((filename, file));
    }
    let (filename, file) = sent.ok_or_else(|| ApiError::field("file", "is required"))?;
    validate(filename, file, replaces, language)
}

fn validate(filename: String, file: Bytes, replaces: Option<Uuid>, language: Language) -> Result<(NewDocument, Bytes)> {
    if file.len() > MAX_FORM_FILE_BYTES {
        return Err(ApiError::payload_too_large(MAX_FORM_FILE_BYTES));
    }
    let filename = Filename::try_from(filename)
        .map_err(|error| ApiError::validation(vec![FieldError::new("file", format!("its name {error}"))]))?;
    let format = named_format(&filename, language)?;
    check_content(&file, format)?;
    let bytes = i64::try_from(file.len()).map_err(|error| ApiError::internal().with_source(error))?;
    Ok((NewDocument { filename, format, bytes, sha256: Some(Sha256::digest(&file).into()), replaces }, file))
}

/// Checks that the content is of the format that the name says. A locked or damaged office file passes: the worker tells
/// what is wrong with it.
fn check_content(file: &[u8], format: FileFormat) -> Result<()> {
    let wrong = |message: String| Err(ApiError::unsupported_media_type(message));
    match files::detect(file, format) {
        Some(found) if found == format => Ok(()),
        Some(found) => wrong(format!("the file is of the format {found}, and its name says {format}")),
        None if format == FileFormat::Pdf => wrong("the file is not a PDF".to_owned()),
        None if matches!(format, FileFormat::Docx | FileFormat::Xlsx) => Ok(()),
        None => wrong("the file is not a text".to_owned()),
    }
}

fn malformed(reason: String) -> ApiError {
    ApiError::bad_request("malformed_form", "the multipart form cannot be read").with_source(reason)
}
