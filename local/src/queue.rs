//! Feeds a function from an SQS queue by the rules of Lambda's event source mapping: batches, partial batch failures,
//! and no delete of failed messages. A failed message is delivered again after the visibility timeout until the
//! redrive policy moves it to the dead-letter queue.

use std::{collections::HashSet, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use aws_sdk_sqs::{
    Client,
    types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName},
};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{aws::REGION, lambda::Lambda};

/// SQS's maximum for a long poll, in seconds.
const LONG_POLL_WAIT_S: i32 = 20;
/// The delay before the next poll when the queue cannot be reached.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Polls a queue and invokes a function with its messages.
#[derive(Debug)]
pub struct QueuePoller {
    /// The SQS client.
    pub client: Client,
    /// The queue's ARN.
    pub arn: String,
    /// The function to invoke.
    pub lambda: Arc<Lambda>,
    /// The maximum number of messages per invocation.
    pub batch_size: i32,
    /// True when the function reports failed messages (ReportBatchItemFailures).
    pub reports_batch_item_failures: bool,
    /// The maximum number of concurrent invocations.
    pub max_concurrency: usize,
}

impl QueuePoller {
    /// Polls until the future is dropped.
    ///
    /// # Errors
    /// Fails when the queue does not exist. A queue that becomes unreachable later is polled again.
    pub async fn run(self) -> Result<()> {
        let arn = self.arn.clone();
        let name = arn.rsplit(':').next().unwrap_or_default();
        let found = self.client.get_queue_url().queue_name(name).send().await;
        let url = found.with_context(|| format!("the queue {name} does not exist"))?.queue_url.unwrap_or_default();
        let permits = Arc::new(Semaphore::new(self.max_concurrency));
        let this = Arc::new(self);
        let mut running = JoinSet::new();
        loop {
            // One poll at a time, and only when a permit for the invocation is free.
            let permit = Arc::clone(&permits).acquire_owned().await?;
            while running.try_join_next().is_some() {}
            match this.receive(&url).await {
                Ok(messages) if messages.is_empty() => {}
                Ok(messages) => {
                    let (this, url) = (Arc::clone(&this), url.clone());
                    running.spawn(async move {
                        this.deliver(&url, messages).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(queue = name, error = format!("{error:#}"), "the queue cannot be reached");
                    tokio::time::sleep(RETRY_DELAY).await;
                }
            }
        }
    }

    async fn receive(&self, url: &str) -> Result<Vec<Message>> {
        let request = self.client.receive_message().queue_url(url).wait_time_seconds(LONG_POLL_WAIT_S);
        let request = request.max_number_of_messages(self.batch_size);
        let request = request
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names(QueueAttributeName::All.as_str());
        Ok(request.send().await?.messages.unwrap_or_default())
    }

    /// Invokes the function and deletes the messages that it handled.
    async fn deliver(&self, url: &str, messages: Vec<Message>) {
        let ids: Vec<_> = messages.iter().filter_map(|message| message.message_id.as_deref()).collect();
        let records: Vec<_> = messages.iter().map(|message| record(message, &self.arn)).collect();
        let failed = match self.lambda.invoke_measured(json!({ "Records": records })).await {
            Ok(answer) if self.reports_batch_item_failures => failed_message_ids(&answer, &ids),
            Ok(_) => Some(HashSet::new()),
            Err(error) => {
                tracing::error!(function = self.lambda.name(), %error, "the event failed");
                None
            }
        };
        // The invocation failed, so no message counts as handled.
        let Some(failed) = failed else { return };
        if !failed.is_empty() {
            tracing::warn!(function = self.lambda.name(), failed = failed.len(), "messages will come again");
        }
        let done = messages.iter().filter(|message| !failed.contains(message.message_id().unwrap_or_default()));
        if let Err(error) = self.delete(url, done).await {
            // These messages are delivered again, and handlers are idempotent.
            tracing::warn!(error = format!("{error:#}"), "messages could not be deleted");
        }
    }

    async fn delete(&self, url: &str, messages: impl Iterator<Item = &Message>) -> Result<()> {
        let mut entries = Vec::new();
        for (index, message) in messages.enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
            entries.push(entry.receipt_handle(message.receipt_handle().unwrap_or_default()).build()?);
        }
        if !entries.is_empty() {
            self.client.delete_message_batch().queue_url(url).set_entries(Some(entries)).send().await?;
        }
        Ok(())
    }
}

/// The ids of the messages that a partial batch response reports as failed. `None` when the whole batch fails: the
/// response names an unknown id, as AWS documents, or is malformed.
fn failed_message_ids(answer: &Value, ids: &[&str]) -> Option<HashSet<String>> {
    let failures = match answer {
        Value::Null => return Some(HashSet::new()),
        answer => answer.get("batchItemFailures"),
    };
    let Some(failures) = failures.filter(|failures| !failures.is_null()) else { return Some(HashSet::new()) };
    failures
        .as_array()?
        .iter()
        .map(|failure| {
            let id = failure["itemIdentifier"].as_str()?;
            ids.contains(&id).then(|| id.to_owned())
        })
        .collect()
}

/// Returns a message in the form in which Lambda passes it to a function. `arn` is that of the queue.
#[must_use]
pub fn record(message: &Message, arn: &str) -> Value {
    let attributes = message.attributes.iter().flatten();
    let attributes: serde_json::Map<_, _> =
        attributes.map(|(name, value)| (name.as_str().to_owned(), json!(value))).collect();
    let custom = message.message_attributes.iter().flatten();
    let custom: serde_json::Map<_, _> = custom
        .map(|(name, value)| {
            let value = json!({
                "stringValue": value.string_value(),
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": value.data_type(),
            });
            (name.clone(), value)
        })
        .collect();
    json!({
        "messageId": message.message_id(),
        "receiptHandle": message.receipt_handle(),
        "body": message.body(),
        "attributes": attributes,
        "messageAttributes": custom,
        "md5OfBody": message.md5_of_body(),
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": REGION,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use shared::{
        error::BoxError,
        function::{EventFunction, Function},
        settings::{Settings, SettingsMap},
    };

    use super::*;

    #[test]
    fn partial_batch_response_yields_the_failed_ids() {
        let ids = ["a", "b"];
        let named = |answer: Value| failed_message_ids(&answer, &ids).map(|failed| failed.len());
        assert_eq!(named(json!({"batchItemFailures": [{"itemIdentifier": "b"}]})), Some(1));
        for nothing_failed in
            [json!(null), json!({}), json!({"batchItemFailures": []}), json!({"batchItemFailures": null})]
        {
            assert_eq!(named(nothing_failed), Some(0));
        }
        for all_failed in [json!({"batchItemFailures": [{"itemIdentifier": "c"}]}), json!({"batchItemFailures": [{}]})]
        {
            assert_eq!(named(all_failed), None);
        }
    }

    /// A function that fails the messages whose body is `bad`.
    #[derive(Clone)]
    struct Picky;

    impl EventFunction for Picky {
        const NAME: &'static str = "picky";

        fn read(_: &mut Settings) -> Self {
            Self
        }

        async fn handle(&self, event: Value) -> Result<Value, BoxError> {
            let records = event["Records"].as_array().cloned().unwrap_or_default();
            let failed = records.iter().filter(|record| record["body"] == "bad");
            let failed: Vec<_> = failed.map(|record| json!({ "itemIdentifier": record["messageId"] })).collect();
            Ok(json!({ "batchItemFailures": failed }))
        }
    }

    #[tokio::test]
    async fn failed_message_is_redelivered_until_it_reaches_the_dead_letter_queue() {
        let client = Client::new(&crate::testing::servers().await.unwrap().aws.config());
        let make = async |name: &str, attributes: HashMap<QueueAttributeName, String>| {
            let made = client.create_queue().queue_name(name).set_attributes(Some(attributes)).send().await;
            made.unwrap().queue_url.unwrap()
        };
        let dead = make("picky-dlq", HashMap::new()).await;
        let redrive =
            json!({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:picky-dlq", "maxReceiveCount": 2});
        let attributes = [
            (QueueAttributeName::VisibilityTimeout, "1".to_owned()),
            (QueueAttributeName::RedrivePolicy, redrive.to_string()),
        ];
        let url = make("picky", attributes.into()).await;
        for body in ["good", "bad", "good"] {
            client.send_message().queue_url(&url).message_body(body).send().await.unwrap();
        }
        let lambda = Lambda::new(Function::event::<Picky>(), Duration::from_secs(5), SettingsMap::new());
        let poller = QueuePoller {
            client: client.clone(),
            arn: "arn:aws:sqs:us-east-1:123456789012:picky".to_owned(),
            lambda: Arc::new(lambda),
            batch_size: 10,
            reports_batch_item_failures: true,
            max_concurrency: 2,
        };
        let mut polling = JoinSet::new();
        polling.spawn(async move { Box::pin(poller.run()).await.unwrap() });
        let request = client.receive_message().queue_url(dead).wait_time_seconds(LONG_POLL_WAIT_S);
        let set_aside = request.max_number_of_messages(10).send().await.unwrap().messages.unwrap_or_default();
        assert_eq!(set_aside.iter().map(|message| message.body().unwrap()).collect::<Vec<_>>(), ["bad"]);
        let left = client.receive_message().queue_url(url).send().await.unwrap().messages;
        assert!(left.is_none_or(|left| left.is_empty()));
    }
}
