//! The configuration that all AWS clients share, and the function's secret in Secrets Manager.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use std::{
    ops::Deref,
    sync::{Arc, LazyLock},
    time::Duration,
};

use crate::{
    error::BoxError,
    settings::{SettingKind, Settings, SettingsMap},
};

/// The setting with the ARN of the function's secret.
pub const SECRET_ARN: &str = "SECRET_ARN";

/// A client that is created at its first use. Creating one parses the system's certificates, which takes longer than
/// the rest of a cold start together (docs/BENCHMARKS.md), and many instances never use it.
#[derive(Debug)]
pub struct LazyClient<C>(Arc<LazyLock<C, Make<C>>>);

type Make<C> = Box<dyn FnOnce() -> C + Send>;

impl<C> LazyClient<C> {
    /// Stores `make`, which creates the client at its first use.
    pub fn new(make: impl FnOnce() -> C + Send + 'static) -> Self {
        Self(Arc::new(LazyLock::new(Box::new(make))))
    }
}

impl<C> Clone for LazyClient<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> Deref for LazyClient<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

/// Reads the region, the credentials and the endpoint of a stand-in for AWS. On Lambda they are environment
/// variables, fixed for the life of the process, so they come from the settings map like everything else.
pub fn read(settings: &mut Settings) -> SdkConfig {
    let region = settings.text("AWS_REGION", "us-east-1");
    let key = settings.required_of(SettingKind::Secret, "AWS_ACCESS_KEY_ID");
    let secret = settings.required_of(SettingKind::Secret, "AWS_SECRET_ACCESS_KEY");
    let token = settings.optional_secret("AWS_SESSION_TOKEN");
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

/// Reads SECRET_ARN, the name of the function's secret.
pub(crate) fn secret_arn(settings: &mut Settings) -> Option<String> {
    settings.optional(SECRET_ARN)
}

/// Adds the keys of the secret that SECRET_ARN names; returns `values` unchanged when SECRET_ARN is not set. A key
/// that `values` already has keeps its value there.
///
/// # Errors
/// The secret cannot be fetched, or is not a JSON object whose values are texts.
pub async fn with_secret(mut values: SettingsMap) -> Result<SettingsMap, BoxError> {
    let mut settings = Settings::new(values.clone());
    let Some(arn) = secret_arn(&mut settings) else { return Ok(values) };
    let config = read(&mut settings);
    settings.finish()?;
    let answer = aws_sdk_secretsmanager::Client::new(&config).get_secret_value().secret_id(arn).send().await?;
    let text = answer.secret_string().ok_or("the secret holds no text")?;
    // The cause is dropped on purpose: the JSON parser's message may quote the secret.
    let secret: SettingsMap =
        serde_json::from_str(text).or(Err("the secret is not a JSON object whose values are texts"))?;
    for (name, value) in secret {
        values.entry(name).or_insert(value);
    }
    Ok(values)
}
