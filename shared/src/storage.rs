//! Where the PDFs are: one S3 bucket, a folder a tenant.

use std::time::Duration;

use aws_sdk_s3::{
    Client,
    config::{Builder, RequestChecksumCalculation},
    error::{DisplayErrorContext, SdkError},
    operation::{get_object::GetObjectError, head_object::HeadObjectError},
    presigning::PresigningConfig,
};
use bytes::{Bytes, BytesMut};
use uuid::Uuid;

use crate::{aws, error::ApiError, settings::Settings};

/// The content type of everything in the bucket.
pub const PDF: &str = "application/pdf";

/// The bucket.
#[derive(Debug, Clone)]
pub struct Storage {
    client: aws::Lazy<Client>,
    bucket: String,
}

/// The storage is away, or refused us. Transient: what it is about can be tried again.
#[derive(Debug, thiserror::Error)]
#[error("storage: {0}")]
pub struct StorageError(String);

/// Why an object could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such object.
    #[error("no such object")]
    Missing,
    /// It has more bytes than asked for.
    #[error("the object is larger than the limit")]
    TooLarge,
    /// Transient.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        Self::unavailable().because(error)
    }
}

fn failed<E: std::error::Error>(error: E) -> StorageError {
    StorageError(DisplayErrorContext(error).to_string())
}

/// An upload that a client may make: one PUT to a URL, with exactly these headers.
#[derive(Debug)]
pub struct PresignedPut {
    /// Where to.
    pub url: String,
    /// The headers that are signed; another length or type is refused by S3.
    pub headers: Vec<(String, String)>,
}

/// The key of a document's file.
#[must_use]
pub fn document_key(tenant: Uuid, document: Uuid) -> String {
    format!("tenants/{tenant}/{document}.pdf")
}

/// The tenant and the document that a key names; `None` where it is not one of ours.
#[must_use]
pub fn parse_document_key(key: &str) -> Option<(Uuid, Uuid)> {
    let (tenant, file) = key.strip_prefix("tenants/")?.split_once('/')?;
    Some((Uuid::try_parse(tenant).ok()?, Uuid::try_parse(file.strip_suffix(".pdf")?).ok()?))
}

impl Storage {
    /// Reads DOCUMENTS_BUCKET and what the AWS clients need.
    pub fn read(settings: &mut Settings) -> Self {
        let config = aws::read(settings);
        let s3 = Builder::from(&config)
            // A stand-in behind an endpoint has no bucket host names.
            .force_path_style(config.endpoint_url().is_some())
            // Otherwise a presigned PUT would promise the checksum of an empty body.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .build();
        Self { client: aws::Lazy::new(|| Client::from_conf(s3)), bucket: settings.required("DOCUMENTS_BUCKET") }
    }

    /// Signs a PUT of exactly `bytes` bytes, once: with `If-None-Match`, S3 refuses a second object under the key.
    ///
    /// # Errors
    /// Credentials that cannot sign.
    pub async fn presign_put(&self, key: &str, bytes: i64, valid_for: Duration) -> Result<PresignedPut, StorageError> {
        let config = PresigningConfig::expires_in(valid_for).map_err(failed)?;
        let request = self.client.put_object().bucket(&self.bucket).key(key);
        let request = request.content_length(bytes).content_type(PDF).if_none_match("*");
        let presigned = request.presigned(config).await.map_err(failed)?;
        let headers = presigned.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(PresignedPut { url: presigned.uri().to_owned(), headers })
    }

    /// Stores an object.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn put(&self, key: &str, body: Bytes) -> Result<(), StorageError> {
        let request = self.client.put_object().bucket(&self.bucket).key(key).content_type(PDF);
        request.body(body.into()).send().await.map_err(failed)?;
        Ok(())
    }

    /// Whether an object is there.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn exists(&self, key: &str) -> Result<bool, StorageError> {
        match self.client.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error)) if matches!(error.err(), HeadObjectError::NotFound(_)) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    /// Reads an object of at most `limit` bytes; a larger one is not read to its end.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn get(&self, key: &str, limit: usize) -> Result<Bytes, ReadError> {
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

    /// Deletes an object; one that is not there counts as deleted.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.client.delete_object().bucket(&self.bucket).key(key).send().await.map_err(failed)?;
        Ok(())
    }

    /// Asks the bucket whether it is there.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn ping(&self) -> Result<(), StorageError> {
        self.client.head_bucket().bucket(&self.bucket).send().await.map_err(failed)?;
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
    async fn the_length_of_an_upload_is_signed() {
        let put = storage().presign_put("tenants/a/b.pdf", 1234, Duration::from_secs(60)).await.unwrap();
        assert!(
            put.url.contains("X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bif-none-match"),
            "{}",
            put.url
        );
        assert!(put.headers.contains(&("content-length".to_owned(), "1234".to_owned())), "{:?}", put.headers);
        assert!(!put.url.contains("checksum"), "{}", put.url);
    }

    #[test]
    fn keys_name_their_tenant_and_document() {
        let (tenant, document) = (Uuid::new_v4(), Uuid::new_v4());
        assert_eq!(parse_document_key(&document_key(tenant, document)), Some((tenant, document)));
        for foreign in ["", "tenants/x/y.pdf", "exports/a.zip", "tenants/../etc/passwd.pdf"] {
            assert_eq!(parse_document_key(foreign), None);
        }
    }
}
