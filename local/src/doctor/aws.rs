//! The bucket and the queues: whether they are there, and whether the credentials have the rights.

use std::{collections::BTreeSet, error::Error};

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

    let put = client.put_object().bucket(bucket).key(&key).body(text.to_vec().into()).send().await;
    if let Err(error) = put {
        return vec![describe(&error, "store an object in", &format!("the bucket {bucket}"), "s3:PutObject")];
    }
    let mut outcomes = Vec::new();
    match client.get_object().bucket(bucket).key(&key).send().await {
        Ok(object) => match object.body.collect().await.map(|body| body.to_vec()) {
            Ok(body) if body == text => {}
            _ => outcomes.push(Outcome::error(
                format!("the bucket {bucket} returns another object than was stored"),
                "Is AWS_ENDPOINT_URL a proxy that changes bodies?",
            )),
        },
        Err(error) => {
            outcomes.push(describe(&error, "read an object of", &format!("the bucket {bucket}"), "s3:GetObject"));
        }
    }
    if let Err(error) = client.delete_object().bucket(bucket).key(&key).send().await {
        let place = format!("the bucket {bucket} (the object {key} is left there)");
        outcomes.push(describe(&error, "delete an object of", &place, "s3:DeleteObject"));
    }
    if outcomes.is_empty() {
        outcomes.push(Outcome::Ok(format!("an object was stored in {bucket}, read and removed")));
    }
    outcomes
}

/// Says why AWS refuses.
fn describe<E>(error: &SdkError<E, HttpResponse>, action: &str, place: &str, right: &str) -> Outcome
where
    E: ProvideErrorMetadata,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let Some(status) = status else {
        let what = format!("cannot {action} {place}: AWS cannot be reached");
        return Outcome::error(
            what,
            "Is there a way to AWS, and is AWS_ENDPOINT_URL, if it is set, the right address?",
        );
    };
    let code = error.code().unwrap_or_default();
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
        Err(error) => return vec![describe(&error, "ask", &place, "sqs:GetQueueAttributes")],
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
        Err(error) => return Some(describe(&error, "find", &place, "sqs:GetQueueUrl")),
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
        Err(error) => Some(describe(&error, "ask", &place, "sqs:GetQueueAttributes")),
    }
}
