//! The S3 bucket of uploaded files, with one key prefix per tenant.

use std::time::Duration;

use aws_sdk_s3::{
    Client,
    config::{Builder, RequestChecksumCalculation},
    error::{DisplayErrorContext, SdkError},
    operation::{get_object::GetObjectError, head_object::HeadObjectError},
    presigning::PresigningConfig,
    types::{CompletedMultipartUpload, CompletedPart},
};
use bytes::{Bytes, BytesMut};
use uuid::Uuid;

use crate::{aws, error::ApiError, settings::Settings};

/// Time that a request of a client may wait for the bucket. With a transaction before and one after, the answer leaves
/// before the function's timeout.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);
/// Time that storing a file of a form may take.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(8);
/// Time that storing one part of a large object may take.
const PART_TIMEOUT: Duration = Duration::from_secs(60);
/// Least size of a part of a large object but for the last one, in bytes: a limit of S3.
pub const MIN_PART_BYTES: usize = 5 * 1024 * 1024;
/// Time that reading a whole object may take.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// A client of the bucket.
#[derive(Debug, Clone)]
pub struct Storage {
    client: aws::LazyClient<Client>,
    bucket: String,
}

/// S3 is down or refused the request. Transient: the request may be repeated.
#[derive(Debug, thiserror::Error)]
#[error("storage: {0}")]
pub struct StorageError(String);

/// The reasons why an object could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No object has this key.
    #[error("no such object")]
    Missing,
    /// The object is longer than the limit.
    #[error("the object is larger than the limit")]
    TooLarge,
    /// S3 failed; transient.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        Self::unavailable().with_source(error)
    }
}

fn failed<E: std::error::Error>(error: E) -> StorageError {
    StorageError(DisplayErrorContext(error).to_string())
}

/// Runs a request, and ends it as failed after `timeout`. Without this, a bucket that accepts connections and does not
/// answer holds a request for as long as the SDK repeats it.
async fn within<T>(timeout: Duration, request: impl Future<Output = T>) -> Result<T, StorageError> {
    tokio::time::timeout(timeout, request).await.or(Err(StorageError("no answer in time".to_owned())))
}

/// A presigned upload: one PUT to `url`, with exactly `headers`.
#[derive(Debug)]
pub struct PresignedPut {
    /// URL to send the PUT to.
    pub url: String,
    /// The signed headers. S3 refuses another length or content type.
    pub headers: Vec<(String, String)>,
}

/// An object that is being stored part by part.
#[derive(Debug)]
pub struct PartialUpload {
    key: String,
    id: String,
    parts: Vec<CompletedPart>,
}

/// Returns the key of a document's file, of whatever format: the bucket announces the objects that end in `.pdf`.
#[must_use]
pub fn document_key(tenant: Uuid, document: Uuid) -> String {
    format!("tenants/{tenant}/{document}.pdf")
}

/// Returns the prefix of all keys of a tenant.
#[must_use]
pub fn tenant_prefix(tenant: Uuid) -> String {
    format!("tenants/{tenant}/")
}

/// Returns the key of an export's archive. The bucket does not announce it.
#[must_use]
pub fn export_key(tenant: Uuid, export: Uuid) -> String {
    format!("tenants/{tenant}/exports/{export}.zip")
}

/// Returns the tenant and the document of a key; `None` when [`document_key`] does not produce such keys.
#[must_use]
pub fn parse_document_key(key: &str) -> Option<(Uuid, Uuid)> {
    let (tenant, file) = key.strip_prefix("tenants/")?.split_once('/')?;
    Some((Uuid::try_parse(tenant).ok()?, Uuid::try_parse(file.strip_suffix(".pdf")?).ok()?))
}

impl Storage {
    /// Reads DOCUMENTS_BUCKET and the settings of the AWS clients.
    pub fn read(settings: &mut Settings) -> Self {
        let config = aws::read(settings);
        let s3 = Builder::from(&config)
            // A stand-in for S3 has no host name per bucket.
            .force_path_style(config.endpoint_url().is_some())
            // By default the SDK would sign the checksum of an empty body into a presigned PUT.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .build();
        Self { client: aws::LazyClient::new(|| Client::from_conf(s3)), bucket: settings.required("DOCUMENTS_BUCKET") }
    }

    /// Presigns the PUT of an object of exactly `length` bytes and this content type. It succeeds once: with `If-None-Match: *`, S3 refuses
    /// to replace an object.
    ///
    /// # Errors
    /// The credentials cannot sign, or S3 does not allow `valid_for`.
    pub async fn presign_put(
        &self,
        key: &str,
        length: i64,
        content_type: &str,
        valid_for: Duration,
    ) -> Result<PresignedPut, StorageError> {
        let config = PresigningConfig::expires_in(valid_for).map_err(failed)?;
        let request = self.client.put_object().bucket(&self.bucket).key(key);
        let request = request.content_length(length).content_type(content_type).if_none_match("*");
        let presigned = request.presigned(config).await.map_err(failed)?;
        let headers = presigned.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(PresignedPut { url: presigned.uri().to_owned(), headers })
    }

    /// Presigns the GET of an object, which answers with this content type and disposition whatever was stored. The
    /// object need not exist.
    ///
    /// # Errors
    /// The credentials cannot sign, or S3 does not allow `valid_for`.
    pub async fn presign_get(
        &self,
        key: &str,
        content_type: &str,
        disposition: &str,
        valid_for: Duration,
    ) -> Result<String, StorageError> {
        let config = PresigningConfig::expires_in(valid_for).map_err(failed)?;
        let request = self.client.get_object().bucket(&self.bucket).key(key);
        let request = request.response_content_type(content_type).response_content_disposition(disposition);
        Ok(request.presigned(config).await.map_err(failed)?.uri().to_owned())
    }

    /// Stores an object.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn put(&self, key: &str, content_type: &str, body: Bytes) -> Result<(), StorageError> {
        let request = self.client.put_object().bucket(&self.bucket).key(key).content_type(content_type);
        Box::pin(within(UPLOAD_TIMEOUT, request.body(body.into()).send())).await?.map_err(failed)?;
        Ok(())
    }

    /// Returns true when an object has this key.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn exists(&self, key: &str) -> Result<bool, StorageError> {
        match within(REQUEST_TIMEOUT, self.client.head_object().bucket(&self.bucket).key(key).send()).await? {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error)) if matches!(error.err(), HeadObjectError::NotFound(_)) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    /// Reads an object of at most `limit` bytes. A larger object is not read to its end.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn get(&self, key: &str, limit: usize) -> Result<Bytes, ReadError> {
        within(DOWNLOAD_TIMEOUT, self.read_object(key, limit)).await?
    }

    async fn read_object(&self, key: &str, limit: usize) -> Result<Bytes, ReadError> {
        let answer = self.client.get_object().bucket(&self.bucket).key(key).send().await;
        let mut object = match answer {
            Ok(object) => object,
            Err(SdkError::ServiceError(error)) if matches!(error.err(), GetObjectError::NoSuchKey(_)) => {
                return Err(ReadError::Missing);
            }
            Err(error) => return Err(failed(error).into()),
        };
        let declared = object.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
        let mut body = BytesMut::with_capacity(declared.min(limit));
        while let Some(part) = object.body.next().await {
            let part = part.map_err(failed)?;
            if body.len() + part.len() > limit {
                return Err(ReadError::TooLarge);
            }
            body.extend_from_slice(&part);
        }
        Ok(body.freeze())
    }

    /// Deletes an object. Deleting a key without an object succeeds.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        let request = self.client.delete_object().bucket(&self.bucket).key(key);
        within(REQUEST_TIMEOUT, request.send()).await?.map_err(failed)?;
        Ok(())
    }

    /// Returns up to `limit` keys that begin with `prefix`, at most 1,000.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn list_keys(&self, prefix: &str, limit: i32) -> Result<Vec<String>, StorageError> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).max_keys(limit);
        let listed = within(REQUEST_TIMEOUT, request.send()).await?.map_err(failed)?;
        Ok(listed.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect())
    }

    /// Begins an object that is stored part by part, and is there when [`Self::complete_upload`] succeeds.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn begin_upload(&self, key: &str, content_type: &str) -> Result<PartialUpload, StorageError> {
        let request = self.client.create_multipart_upload().bucket(&self.bucket).key(key).content_type(content_type);
        // A POST without a body has `Content-Length: 0` (RFC 9110, 8.6). S3 needs no such header; other servers refuse
        // the request without it.
        let request = request.customize().mutate_request(|request| {
            request.headers_mut().insert("content-length", "0");
        });
        let begun = within(REQUEST_TIMEOUT, request.send()).await?.map_err(failed)?;
        let id = begun.upload_id.ok_or_else(|| StorageError("an upload without an id was begun".to_owned()))?;
        Ok(PartialUpload { key: key.to_owned(), id, parts: Vec::new() })
    }

    /// Stores the next part, of at least [`MIN_PART_BYTES`] unless it is the last one.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn store_part(&self, upload: &mut PartialUpload, part: Bytes) -> Result<(), StorageError> {
        let number = i32::try_from(upload.parts.len() + 1).unwrap_or(i32::MAX);
        let request = self.client.upload_part().bucket(&self.bucket).key(&upload.key).upload_id(&upload.id);
        let request = request.part_number(number).body(part.into()).send();
        let stored = Box::pin(within(PART_TIMEOUT, request)).await?.map_err(failed)?;
        upload.parts.push(CompletedPart::builder().part_number(number).set_e_tag(stored.e_tag).build());
        Ok(())
    }

    /// Makes the stored parts one object. It replaces an object with the same key.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn complete_upload(&self, upload: PartialUpload) -> Result<(), StorageError> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(upload.parts)).build();
        let request = self.client.complete_multipart_upload().bucket(&self.bucket).key(&upload.key);
        let request = request.upload_id(&upload.id).multipart_upload(parts).send();
        // S3 may take long to join many parts, so this call has the timeout of a part.
        Box::pin(within(PART_TIMEOUT, request)).await?.map_err(failed)?;
        Ok(())
    }

    /// Deletes the stored parts of an upload that is given up. The bucket deletes those of a killed worker after a day.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn abort_upload(&self, upload: &PartialUpload) -> Result<(), StorageError> {
        let request = self.client.abort_multipart_upload().bucket(&self.bucket).key(&upload.key);
        within(REQUEST_TIMEOUT, request.upload_id(&upload.id).send()).await?.map_err(failed)?;
        Ok(())
    }

    /// Checks that the bucket answers.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn ping(&self) -> Result<(), StorageError> {
        within(REQUEST_TIMEOUT, self.client.head_bucket().bucket(&self.bucket).send()).await?.map_err(failed)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage() -> Storage {
        let pairs = [
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            ("DOCUMENTS_BUCKET", "lisa-documents"),
        ];
        let mut settings = Settings::new(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let storage = Storage::read(&mut settings);
        settings.finish().unwrap();
        storage
    }

    #[tokio::test]
    async fn a_presigned_put_signs_its_length_and_no_checksum() {
        let put = storage().presign_put("tenants/a/b.pdf", 1234, "text/csv", Duration::from_secs(60)).await.unwrap();
        assert!(
            put.url.contains("X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bif-none-match"),
            "{}",
            put.url
        );
        assert!(put.headers.contains(&("content-length".to_owned(), "1234".to_owned())), "{:?}", put.headers);
        assert!(!put.url.contains("checksum"), "{}", put.url);
    }

    #[tokio::test]
    async fn a_presigned_get_names_its_content_type_and_ends() {
        let valid_for = Duration::from_secs(300);
        let get = storage().presign_get("tenants/a/b.pdf", "application/pdf", "inline", valid_for).await.unwrap();
        assert!(get.contains("response-content-type=application%2Fpdf"), "{get}");
        assert!(get.contains("X-Amz-Expires=300"), "{get}");
    }

    #[test]
    fn document_keys_parse_and_foreign_keys_do_not() {
        let (tenant, document) = (Uuid::new_v4(), Uuid::new_v4());
        assert_eq!(parse_document_key(&document_key(tenant, document)), Some((tenant, document)));
        assert_eq!(parse_document_key(&export_key(tenant, document)), None);
        for foreign in ["", "tenants/x/y.pdf", "exports/a.zip", "tenants/../etc/passwd.pdf"] {
            assert_eq!(parse_document_key(foreign), None);
        }
    }
}
