//! The bucket and the queues: whether they are there, and whether the credentials have the rights.

use std::{collections::BTreeSet, error::Error, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_sdk_sqs::types::QueueAttributeName;
use futures::future::join_all;
use serde_json::Value;
use shared::{settings::SettingsRead, storage::tenant_prefix};
use uuid::Uuid;

use super::{Target, report::Outcome};

/// Advice when AWS refuses the credentials, or there are none.
const CREDENTIALS: &str = "Put AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_REGION of the deployment's \
                           account into the environment: eval \"$(aws configure export-credentials --format env)\".";

/// The code of an error of Secrets Manager, such as `ResourceNotFoundException`.
pub(super) fn code_of(error: &(dyn Error + 'static)) -> Option<String> {
    let error = error.downcast_ref::<SdkError<GetSecretValueError, HttpResponse>>()?;
    Some(error.code().map_or_else(|| "Secrets Manager cannot be reached".to_owned(), str::to_owned))
}

/// The configuration of the clients; an outcome where there are no credentials.
fn config(target: &Target) -> Result<SdkConfig, Outcome> {
    if target.get("AWS_ACCESS_KEY_ID").is_none() || target.get("AWS_SECRET_ACCESS_KEY").is_none() {
        return Err(Outcome::skipped(format!("there are no AWS credentials. {CREDENTIALS}")));
    }
    Ok(shared::aws::read(&mut target.reader()))
}

/// The calls of the bucket's check, of which each has the longest time of a check. The last one removes the object, so the
/// check is not cut off before it.
pub(super) const BUCKET_CALLS: u32 = 3;

/// Stores, reads and removes an object of its own in the bucket.
pub(super) async fn check_bucket(target: &Target) -> Vec<Outcome> {
    let Some(bucket) = target.get("DOCUMENTS_BUCKET") else {
        return vec![Outcome::skipped("DOCUMENTS_BUCKET is not set")];
    };
    let config = match config(target) {
        Ok(config) => config,
        Err(outcome) => return vec![outcome],
    };
    // As `shared::storage` does: a stand-in for S3 has no host name per bucket.
    let options = aws_sdk_s3::config::Builder::from(&config).force_path_style(config.endpoint_url().is_some()).build();
    let client = aws_sdk_s3::Client::from_conf(options);
    // Below the prefix that the functions' rights name. The bucket announces names that end in .pdf only.
    let key = format!("{}doctor-{}.txt", tenant_prefix(Uuid::nil()), Uuid::new_v4());
    let text = b"an object of `cargo doctor`, which may be deleted";
    let place = format!("the bucket {bucket}");
    let place_with_object = format!("{place} (the object {key} may be left there)");

    let put = client.put_object().bucket(bucket).key(&key).body(text.to_vec().into()).send();
    if let Err(error) = within(target.timeout, Box::pin(put)).await {
        let may_be_left = error.may_have_taken_effect() && remove(&client, bucket, &key, target.timeout).await.is_err();
        let place = if may_be_left { &place_with_object } else { &place };
        return vec![describe(&error, "store an object in", place, "s3:PutObject")];
    }
    let mut outcomes = Vec::new();
    let get = async {
        let object = client.get_object().bucket(bucket).key(&key).send().await.map_err(CallError::from)?;
        Ok::<_, CallError>(object.body.collect().await.map(|body| body.to_vec()).ok())
    };
    match within(target.timeout, Box::pin(get)).await {
        Ok(Some(body)) if body == text => {}
        Ok(_) => outcomes.push(Outcome::error(
            format!("the bucket {bucket} returns another object than was stored"),
            "Is AWS_ENDPOINT_URL a proxy that changes bodies?",
        )),
        Err(error) => outcomes.push(describe(&error, "read an object of", &place, "s3:GetObject")),
    }
    if let Err(error) = remove(&client, bucket, &key, target.timeout).await {
        outcomes.push(describe(&error, "delete an object of", &place_with_object, "s3:DeleteObject"));
    }
    if outcomes.is_empty() {
        outcomes.push(Outcome::Ok(format!("an object was stored in {bucket}, read and removed")));
    }
    outcomes
}

/// Removes the doctor's object. An object that was never stored counts as removed.
async fn remove(client: &aws_sdk_s3::Client, bucket: &str, key: &str, timeout: Duration) -> Result<(), CallError> {
    let delete = client.delete_object().bucket(bucket).key(key).send();
    within(timeout, Box::pin(delete)).await.map(drop)
}

/// Waits for a call for `timeout` at most.
async fn within<T, E: Into<CallError>>(
    timeout: Duration,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(timeout, call).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(CallError::TimedOut(timeout)),
    }
}

/// Reason why a call fails.
#[derive(Debug)]
enum CallError {
    /// AWS answers with this status and this code.
    Refused(u16, String),
    /// AWS cannot be reached, or the connection broke.
    Unreachable,
    /// AWS gives no answer within this time.
    TimedOut(Duration),
}

impl CallError {
    /// True unless AWS refused the call.
    fn may_have_taken_effect(&self) -> bool {
        match self {
            Self::Refused(status, _) => *status >= 500,
            Self::Unreachable | Self::TimedOut(_) => true,
        }
    }
}

impl<E: ProvideErrorMetadata> From<SdkError<E, HttpResponse>> for CallError {
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        match error.raw_response().map(|response| response.status().as_u16()) {
            Some(status) => Self::Refused(status, error.code().unwrap_or_default().to_owned()),
            None => Self::Unreachable,
        }
    }
}

/// Says why AWS refuses.
fn describe(error: &CallError, action: &str, place: &str, right: &str) -> Outcome {
    let (status, code) = match error {
        CallError::Refused(status, code) => (status, code.as_str()),
        CallError::Unreachable => {
            return Outcome::error(
                format!("cannot {action} {place}: AWS cannot be reached"),
                "Is there a way to AWS, and is AWS_ENDPOINT_URL, if it is set, the right address?",
            );
        }
        CallError::TimedOut(timeout) => {
            return Outcome::error(
                format!("cannot {action} {place}: no answer within {} s", timeout.as_secs()),
                "Is there a way to AWS, and is AWS_ENDPOINT_URL, if it is set, the right address? --timeout gives more time.",
            );
        }
    };
    let what = format!("cannot {action} {place}: {status} {code}");
    match code {
        "NoSuchBucket" => Outcome::error(
            format!("{place} does not exist"),
            "Deploy the stack, which makes it, or correct DOCUMENTS_BUCKET (stack output DocumentsBucketName).",
        ),
        "QueueDoesNotExist" | "AWS.SimpleQueueService.NonExistentQueue" => Outcome::error(
            format!("{place} does not exist"),
            "Deploy the stack, which makes it, or correct its URL (the stack's outputs have all of them).",
        ),
        "AccessDenied" | "AccessDeniedException" => {
            Outcome::error(what, format!("Give these credentials the right {right}."))
        }
        "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "UnrecognizedClientException" => Outcome::error(what, CREDENTIALS),
        "RequestTimeTooSkewed" => Outcome::error(what, "Set this machine's clock by NTP."),
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            Outcome::error(what, "AWS_REGION is not the region of the deployment.")
        }
        _ => Outcome::error(what, "https://health.aws.amazon.com/health/status shows disturbances of AWS."),
    }
}

/// Asks each queue that a function knows, and its queue of dead letters. Nothing is sent: a message would wake a worker.
pub(super) async fn check_queues(target: &Target, read: &[(&'static str, SettingsRead)]) -> Vec<Outcome> {
    let config = match config(target) {
        Ok(config) => config,
        Err(outcome) => return vec![outcome],
    };
    let names = read.iter().flat_map(|(_, read)| read.names());
    let names: BTreeSet<_> = names.filter(|name| name.ends_with("_QUEUE_URL")).collect();
    let client = aws_sdk_sqs::Client::new(&config);
    let checks = names.into_iter().map(|name| check_queue(&client, name, target.get(name)));
    join_all(checks).await.into_iter().flatten().collect()
}

async fn check_queue(client: &aws_sdk_sqs::Client, setting: &str, url: Option<&str>) -> Vec<Outcome> {
    let Some(url) = url else { return vec![Outcome::skipped(format!("{setting} is not set"))] };
    let place = format!("the queue of {setting}");
    let asked = client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All).send().await;
    let attributes = match asked {
        Ok(answer) => answer.attributes.unwrap_or_default(),
        Err(error) => return vec![describe(&error.into(), "ask", &place, "sqs:GetQueueAttributes")],
    };
    let waiting = attributes.get(&QueueAttributeName::ApproximateNumberOfMessages).map_or("0", String::as_str);
    let mut outcomes = vec![Outcome::Ok(format!("{setting} answers, {waiting} messages wait"))];
    let policy = attributes.get(&QueueAttributeName::RedrivePolicy).and_then(|text| serde_json::from_str(text).ok());
    let policy: Value = policy.unwrap_or_default();
    match policy["deadLetterTargetArn"].as_str().and_then(|arn| arn.rsplit(':').next()) {
        Some(name) => outcomes.extend(check_dead_letters(client, name).await),
        None => outcomes.push(Outcome::warning(
            format!("{place} has no queue for dead letters: what fails five times is lost"),
            "Is it the queue of template.yaml? Deploy the stack again.",
        )),
    }
    outcomes
}

async fn check_dead_letters(client: &aws_sdk_sqs::Client, name: &str) -> Option<Outcome> {
    let place = format!("the queue {name}");
    let url = match client.get_queue_url().queue_name(name).send().await {
        Ok(answer) => answer.queue_url.unwrap_or_default(),
        Err(error) => return Some(describe(&error.into(), "find", &place, "sqs:GetQueueUrl")),
    };
    let count = QueueAttributeName::ApproximateNumberOfMessages;
    match client.get_queue_attributes().queue_url(url).attribute_names(count.clone()).send().await {
        Ok(answer) => {
            let waiting = answer.attributes.unwrap_or_default().remove(&count).unwrap_or_default();
            let is_empty = waiting.is_empty() || waiting == "0";
            (!is_empty).then(|| {
                let advice = "docs/DEPLOY.md, Dead letters, has the commands that move them back.";
                Outcome::warning(format!("{name} holds {waiting} dead letters"), advice)
            })
        }
        Err(error) => Some(describe(&error.into(), "ask", &place, "sqs:GetQueueAttributes")),
    }
}
