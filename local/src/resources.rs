//! Creates the template's resources as CloudFormation would: secrets, queues, and the bucket with its notifications.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use aws_config::SdkConfig;
use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter, QueueConfiguration,
    S3KeyFilter,
};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;
use shared::settings::SettingsMap;

use crate::{
    aws::REGION,
    template::{ResourceReference, Template, TemplateScope},
};

/// The account id that moto uses.
const ACCOUNT: &str = "123456789012";

/// The contents of the secrets, and options that keep stacks on one endpoint apart.
#[derive(Debug)]
pub struct ResourceOptions<'s> {
    /// The contents of AppSecret.
    pub app: &'s SettingsMap,
    /// The contents of SystemSecret.
    pub system: &'s SettingsMap,
    /// Base URL of the gateway, which is also that of every Function URL here.
    pub base_url: &'s str,
    /// Suffix of every resource name; empty for the one stack of `cargo dev`.
    pub suffix: &'s str,
    /// Overrides the queues' visibility timeout, in seconds; for tests of redelivery.
    pub visibility_timeout: Option<u32>,
}

/// Creates the template's resources that do not exist, and returns the references for the functions' settings.
///
/// # Errors
/// Fails when a resource cannot be created.
pub async fn create_resources<'t>(
    template: &'t Template,
    config: &SdkConfig,
    seed: &ResourceOptions<'_>,
) -> Result<TemplateScope<'t>> {
    let mut scope = TemplateScope::new(template, REGION, ACCOUNT);
    for (id, properties) in template.resources("AWS::Serverless::Function") {
        if properties.get("FunctionUrlConfig").is_some() {
            // SAM makes this resource for the function. The URL of a deployment ends with a slash.
            let url = format!("{}/", seed.base_url);
            scope.insert(&format!("{id}Url"), ResourceReference { value: url.clone(), arn: url });
        }
    }
    secrets(&mut scope, template, config, seed).await.context("the secrets cannot be created")?;
    queues(&mut scope, template, config, seed).await.context("the queues cannot be created")?;
    buckets(&mut scope, template, config, seed).await.context("the bucket cannot be created")?;
    Ok(scope)
}

async fn secrets(
    scope: &mut TemplateScope<'_>,
    template: &Template,
    config: &SdkConfig,
    seed: &ResourceOptions<'_>,
) -> Result<()> {
    let client = aws_sdk_secretsmanager::Client::new(config);
    let ingest = ingest_secret(seed.app);
    for (id, properties) in template.resources("AWS::SecretsManager::Secret") {
        let values = match id {
            "AppSecret" => seed.app,
            "IngestSecret" => &ingest,
            "SystemSecret" => seed.system,
            other => bail!("template.yaml has a secret {other}, which the local stack has no values for"),
        };
        let name = scope.resolve_text(&properties["Name"])? + seed.suffix;
        let text = serde_json::to_string(values)?;
        let made = client.create_secret().name(&name).secret_string(&text).send().await;
        let arn = match made.map_err(aws_sdk_secretsmanager::error::SdkError::into_service_error) {
            Ok(made) => made.arn,
            Err(error) if error.is_resource_exists_exception() => {
                client.put_secret_value().secret_id(&name).secret_string(text).send().await?.arn
            }
            Err(error) => return Err(error.into()),
        };
        let arn = arn.context("a secret without an ARN was made")?;
        scope.insert(id, ResourceReference { value: arn.clone(), arn });
    }
    Ok(())
}

/// Returns the contents of IngestSecret: those values of AppSecret that docs/DEPLOY.md lists for ingest-worker.
fn ingest_secret(app: &SettingsMap) -> SettingsMap {
    let read = ingest_worker::FUNCTION.settings_with(app.clone()).names();
    app.iter()
        .filter(|(name, _)| read.contains(name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

async fn queues(
    scope: &mut TemplateScope<'_>,
    template: &Template,
    config: &SdkConfig,
    seed: &ResourceOptions<'_>,
) -> Result<()> {
    let client = aws_sdk_sqs::Client::new(config);
    let mut queues: Vec<_> = template.resources("AWS::SQS::Queue").collect();
    // Dead-letter queues first: the redrive policies of the others name their ARNs.
    queues.sort_by_key(|(_, properties)| properties.get("RedrivePolicy").is_some());
    for (id, properties) in queues {
        let name = scope.resolve_text(&properties["QueueName"])? + seed.suffix;
        let mut request = client.create_queue().queue_name(&name);
        for attribute in [
            QueueAttributeName::VisibilityTimeout,
            QueueAttributeName::MessageRetentionPeriod,
            QueueAttributeName::RedrivePolicy,
        ] {
            let value = properties.get(attribute.as_str()).map(|value| scope.resolve(value)).transpose()?.flatten();
            let timeout_override =
                seed.visibility_timeout.filter(|_| attribute == QueueAttributeName::VisibilityTimeout);
            if let Some(value) = timeout_override.map(Value::from).or(value) {
                request = request.attributes(attribute, value.to_string());
            }
        }
        let url = request.send().await?.queue_url.context("a queue without a URL was made")?;
        // The URL has the form http://host:port/<account>/<name>.
        let account = url.rsplit('/').nth(1).unwrap_or(ACCOUNT);
        let arn = format!("arn:aws:sqs:{REGION}:{account}:{name}");
        scope.insert(id, ResourceReference { value: url, arn });
    }
    Ok(())
}

async fn buckets(
    scope: &mut TemplateScope<'_>,
    template: &Template,
    config: &SdkConfig,
    seed: &ResourceOptions<'_>,
) -> Result<()> {
    let path_style = aws_sdk_s3::config::Builder::from(config).force_path_style(true).build();
    let client = aws_sdk_s3::Client::from_conf(path_style);
    for (id, properties) in template.resources("AWS::S3::Bucket") {
        let name = scope.resolve_text(&properties["BucketName"])? + seed.suffix;
        match client.create_bucket().bucket(&name).send().await.map_err(aws_sdk_s3::error::SdkError::into_service_error)
        {
            Ok(_) => {}
            Err(error) if error.is_bucket_already_owned_by_you() => {}
            Err(error) => return Err(error.into()),
        }
        let notifications_in_template = &properties["NotificationConfiguration"]["QueueConfigurations"];
        let mut notifications = NotificationConfiguration::builder();
        for queue in notifications_in_template.as_array().into_iter().flatten() {
            notifications = notifications.queue_configurations(notification(scope, queue)?);
        }
        let request = client.put_bucket_notification_configuration().bucket(&name);
        request.notification_configuration(notifications.build()).send().await?;
        scope.insert(id, ResourceReference { arn: format!("arn:aws:s3:::{name}"), value: name });
    }
    Ok(())
}

fn notification(scope: &TemplateScope<'_>, properties: &Value) -> Result<QueueConfiguration> {
    let mut filter = S3KeyFilter::builder();
    for rule in properties["Filter"]["S3Key"]["Rules"].as_array().into_iter().flatten() {
        let name = FilterRuleName::from(scope.resolve_text(&rule["Name"])?.as_str());
        filter =
            filter.filter_rules(FilterRule::builder().name(name).value(scope.resolve_text(&rule["Value"])?).build());
    }
    let event = Event::from(scope.resolve_text(&properties["Event"])?.as_str());
    let filter = NotificationConfigurationFilter::builder().key(filter.build()).build();
    Ok(QueueConfiguration::builder()
        .queue_arn(scope.resolve_text(&properties["Queue"])?)
        .events(event)
        .filter(filter)
        .build()?)
}

/// The settings that the template gives to each function, by the function's name.
///
/// # Errors
/// Fails when a variable cannot be resolved.
pub fn settings(
    template: &Template,
    scope: &TemplateScope<'_>,
    platform: &SettingsMap,
    overrides: &SettingsMap,
) -> Result<HashMap<String, SettingsMap>> {
    let mut all = HashMap::new();
    for block in template.functions()? {
        let mut settings = platform.clone();
        for (name, value) in &block.variables {
            let value = match overrides.get(name) {
                Some(value) => value.clone(),
                None => scope.resolve_text(value).with_context(|| format!("{name} of {} cannot be set", block.name))?,
            };
            settings.insert(name.clone(), value);
        }
        all.insert(block.name, settings);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Asynchronous because reading the settings creates clients that need a Tokio runtime.
    #[tokio::test]
    async fn the_secret_of_the_ingest_worker_opens_no_token_and_no_sealed_key() {
        let names = ["DATABASE_URL", "GEMINI_API_KEY", "JWT_SECRET", "SEALING_KEYS", "STRIPE_SECRET_KEY", "REDIS_URL"];
        let app = names.map(|name| (name.to_owned(), format!("the value of {name}"))).into();
        let kept: Vec<_> = ingest_secret(&app).into_keys().collect();
        assert_eq!(kept, ["DATABASE_URL", "GEMINI_API_KEY"]);
    }
}
