//! The AWS clients' common configuration, and the function's one secret.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use std::{
    ops::Deref,
    sync::{Arc, LazyLock},
    time::Duration,
};

use crate::{
    function::BoxError,
    settings::{Settings, SettingsMap},
};

/// The setting that names the secret.
pub const SECRET_ARN: &str = "SECRET_ARN";

/// A client that is made at its first use. Making one parses the system's certificates, which takes longer than all the
/// rest of a start (docs/BENCHMARKS.md), and many an instance ends without having needed it.
#[derive(Debug)]
pub struct Lazy<C>(Arc<LazyLock<C, Make<C>>>);

type Make<C> = Box<dyn FnOnce() -> C + Send>;

impl<C> Lazy<C> {
    /// Takes how to make it.
    pub fn new(make: impl FnOnce() -> C + Send + 'static) -> Self {
        Self(Arc::new(LazyLock::new(Box::new(make))))
    }
}

impl<C> Clone for Lazy<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> Deref for Lazy<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

/// Reads the region, the credentials and an endpoint that stands in for AWS, from the same map as everything else: on
/// Lambda they are environment variables, fixed for the life of the process.
pub fn read(settings: &mut Settings) -> SdkConfig {
    let region = settings.text("AWS_REGION", "us-east-1");
    let key = settings.required("AWS_ACCESS_KEY_ID");
    let secret = settings.required("AWS_SECRET_ACCESS_KEY");
    let token = settings.optional("AWS_SESSION_TOKEN");
    let endpoint = settings.optional_url("AWS_ENDPOINT_URL");
    let timeouts = aws_config::timeout::TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(20))
        .build();
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(key, secret, token, None, "settings")))
        .timeout_config(timeouts);
    if let Some(endpoint) = endpoint {
        config = config.endpoint_url(endpoint);
    }
    config.build()
}

/// Adds the keys of the secret that SECRET_ARN names, if it names one. What the environment says itself wins.
///
/// # Errors
/// A secret that cannot be fetched, or is not a JSON object of texts.
pub async fn with_secret(mut values: SettingsMap) -> Result<SettingsMap, BoxError> {
    let mut settings = Settings::new(values.clone());
    let Some(arn) = settings.optional(SECRET_ARN) else { return Ok(values) };
    let config = read(&mut settings);
    settings.finish()?;
    let answer = aws_sdk_secretsmanager::Client::new(&config).get_secret_value().secret_id(arn).send().await?;
    let text = answer.secret_string().ok_or("the secret holds no text")?;
    // The cause is dropped on purpose: the parser's message may quote the secret.
    let secret: SettingsMap =
        serde_json::from_str(text).or(Err("the secret is not a JSON object whose values are texts"))?;
    for (name, value) in secret {
        values.entry(name).or_insert(value);
    }
    Ok(values)
}
