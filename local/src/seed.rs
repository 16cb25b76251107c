//! What CloudFormation would make from the template: secrets, queues, and the bucket with its notifications.

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
    template::{Reference, Scope, Template},
};

/// The account that moto plays.
const ACCOUNT: &str = "123456789012";

/// What goes into the secrets, and how what is made is told apart from other stacks on the same endpoint.
#[derive(Debug)]
pub struct Seed<'s> {
    /// The keys of AppSecret.
    pub app: &'s SettingsMap,
    /// The keys of SystemSecret.
    pub system: &'s SettingsMap,
    /// Ends every name; empty for the one stack of `cargo dev`.
    pub suffix: &'s str,
    /// Stands in for the queues' visibility timeout, in seconds; for tests of what comes back.
    pub visibility_timeout: Option<u32>,
}

/// Makes the template's resources, or finds them made, and returns what the functions' settings may refer to.
///
/// # Errors
/// A resource that cannot be made.
pub async fn seed<'t>(template: &'t Template, config: &SdkConfig, seed: &Seed<'_>) -> Result<Scope<'t>> {
    let mut scope = Scope::new(template, REGION, ACCOUNT);
    secrets(&mut scope, template, config, seed).await.context("the secrets cannot be made")?;
    queues(&mut scope, template, config, seed).await.context("the queues cannot be made")?;
    buckets(&mut scope, template, config, seed).await.context("the bucket cannot be made")?;
    Ok(scope)
}

async fn secrets(scope: &mut Scope<'_>, template: &Template, config: &SdkConfig, seed: &Seed<'_>) -> Result<()> {
    let client = aws_sdk_secretsmanager::Client::new(config);
    for (id, properties) in template.resources("AWS::SecretsManager::Secret") {
        let values = match id {
            "AppSecret" => seed.app,
            "SystemSecret" => seed.system,
            other => bail!("template.yaml has a secret {other}, which the local stack has no values for"),
        };
        let name = scope.text(&properties["Name"])? + seed.suffix;
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
        scope.insert(id, Reference { value: arn.clone(), arn });
    }
    Ok(())
}

async fn queues(scope: &mut Scope<'_>, template: &Template, config: &SdkConfig, seed: &Seed<'_>) -> Result<()> {
    let client = aws_sdk_sqs::Client::new(config);
    let mut queues: Vec<_> = template.resources("AWS::SQS::Queue").collect();
    // Dead-letter queues first: the others name their ARNs.
    queues.sort_by_key(|(_, properties)| properties.get("RedrivePolicy").is_some());
    for (id, properties) in queues {
        let name = scope.text(&properties["QueueName"])? + seed.suffix;
        let mut request = client.create_queue().queue_name(&name);
        for attribute in [
            QueueAttributeName::VisibilityTimeout,
            QueueAttributeName::MessageRetentionPeriod,
            QueueAttributeName::RedrivePolicy,
        ] {
            let value = properties.get(attribute.as_str()).map(|value| scope.value(value)).transpose()?.flatten();
            let shorter = seed.visibility_timeout.filter(|_| attribute == QueueAttributeName::VisibilityTimeout);
            if let Some(value) = shorter.map(Value::from).or(value) {
                request = request.attributes(attribute, value.to_string());
            }
        }
        let url = request.send().await?.queue_url.context("a queue without a URL was made")?;
        // http://host:port/<account>/<name>
        let account = url.rsplit('/').nth(1).unwrap_or(ACCOUNT);
        let arn = format!("arn:aws:sqs:{REGION}:{account}:{name}");
        scope.insert(id, Reference { value: url, arn });
    }
    Ok(())
}

async fn buckets(scope: &mut Scope<'_>, template: &Template, config: &SdkConfig, seed: &Seed<'_>) -> Result<()> {
    let path_style = aws_sdk_s3::config::Builder::from(config).force_path_style(true).build();
    let client = aws_sdk_s3::Client::from_conf(path_style);
    for (id, properties) in template.resources("AWS::S3::Bucket") {
        let name = scope.text(&properties["BucketName"])? + seed.suffix;
        match client.create_bucket().bucket(&name).send().await.map_err(aws_sdk_s3::error::SdkError::into_service_error)
        {
            Ok(_) => {}
            Err(error) if error.is_bucket_already_owned_by_you() => {}
            Err(error) => return Err(error.into()),
        }
        let wanted = &properties["NotificationConfiguration"]["QueueConfigurations"];
        let mut notifications = NotificationConfiguration::builder();
        for queue in wanted.as_array().into_iter().flatten() {
            notifications = notifications.queue_configurations(notification(scope, queue)?);
        }
        let request = client.put_bucket_notification_configuration().bucket(&name);
        request.notification_configuration(notifications.build()).send().await?;
        scope.insert(id, Reference { arn: format!("arn:aws:s3:::{name}"), value: name });
    }
    Ok(())
}

fn notification(scope: &Scope<'_>, properties: &Value) -> Result<QueueConfiguration> {
    let mut filter = S3KeyFilter::builder();
    for rule in properties["Filter"]["S3Key"]["Rules"].as_array().into_iter().flatten() {
        let name = FilterRuleName::from(scope.text(&rule["Name"])?.as_str());
        filter = filter.filter_rules(FilterRule::builder().name(name).value(scope.text(&rule["Value"])?).build());
    }
    let event = Event::from(scope.text(&properties["Event"])?.as_str());
    let filter = NotificationConfigurationFilter::builder().key(filter.build()).build();
    Ok(QueueConfiguration::builder()
        .queue_arn(scope.text(&properties["Queue"])?)
        .events(event)
        .filter(filter)
        .build()?)
}

/// The settings of each function that the template names, by the function's name.
///
/// # Errors
/// A variable that cannot be resolved.
pub fn settings(
    template: &Template,
    scope: &Scope<'_>,
    platform: &SettingsMap,
    overrides: &SettingsMap,
) -> Result<HashMap<String, SettingsMap>> {
    let mut all = HashMap::new();
    for block in template.functions()? {
        let mut settings = platform.clone();
        for (name, value) in &block.variables {
            let value = match overrides.get(name) {
                Some(value) => value.clone(),
                None => scope.text(value).with_context(|| format!("{name} of {} cannot be set", block.name))?,
            };
            settings.insert(name.clone(), value);
        }
        all.insert(block.name, settings);
    }
    Ok(all)
}
