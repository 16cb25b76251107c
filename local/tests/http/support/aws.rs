//! Direct access to the SQS queues and the S3 bucket of the product.

use aws_sdk_s3::types::NotificationConfiguration;
use aws_sdk_sqs::types::QueueAttributeName;
use local::testing::servers;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{App, TenantUser, WAIT_TIMEOUT, wait_until};

/// The S3 key of a document's file.
fn object_key(tenant: &TenantUser, document: Uuid) -> String {
    format!("tenants/{}/{document}.pdf", tenant.customer_id)
}

/// The event that S3 sends when a document's file has arrived.
pub(crate) fn object_created_event(tenant: &TenantUser, document: Uuid) -> Value {
    let key = object_key(tenant, document).replace('/', "%2F");
    json!({ "Records": [{ "eventName": "ObjectCreated:Put", "s3": { "object": { "key": key, "size": 1 } } }] })
}

/// The Lambda event of SQS with these messages, each received for the first time.
pub(crate) fn sqs_event(bodies: &[String]) -> Value {
    let records: Vec<_> = (1..)
        .zip(bodies)
        .map(|(id, body)| {
            json!({
                "messageId": format!("message-{id}"),
                "receiptHandle": format!("receipt-{id}"),
                "body": body,
                "attributes": { "ApproximateReceiveCount": "1" },
            })
        })
        .collect();
    json!({ "Records": records })
}

/// Creates a queue without a consumer, so that messages sent to it stay, and returns its URL.
pub(crate) async fn create_queue() -> String {
    let client = aws_sdk_sqs::Client::new(&servers().await.unwrap().aws.config());
    client.create_queue().queue_name(Uuid::new_v4().to_string()).send().await.unwrap().queue_url.unwrap()
}

impl App {
    /// Receives all messages that are in a queue and returns their bodies.
    pub(crate) async fn drain_queue(&self, queue: &str) -> Vec<Value> {
        let mut bodies = Vec::new();
        loop {
            let request = self.sqs().await.receive_message().queue_url(queue).max_number_of_messages(10);
            let messages = request.send().await.unwrap().messages.unwrap_or_default();
            if messages.is_empty() {
                return bodies;
            }
            bodies.extend(messages.iter().map(|message| serde_json::from_str(message.body().unwrap()).unwrap()));
        }
    }

    async fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&servers().await.unwrap().aws.config())
    }

    async fn s3(&self) -> aws_sdk_s3::Client {
        let config = servers().await.unwrap().aws.config();
        aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build())
    }

    fn bucket(&self) -> &str {
        self.stack.resource_setting("DOCUMENTS_BUCKET").unwrap()
    }

    fn ingest_queue(&self) -> &str {
        self.stack.resource_setting("INGEST_QUEUE_URL").unwrap()
    }

    fn ingest_dead_letter_queue(&self) -> String {
        self.ingest_queue().replace("-ingest-", "-ingest-dlq-")
    }

    /// Sends a message to the ingest queue.
    pub(crate) async fn enqueue(&self, body: impl ToString) {
        self.sqs()
            .await
            .send_message()
            .queue_url(self.ingest_queue())
            .message_body(body.to_string())
            .send()
            .await
            .unwrap();
    }

    /// Number of messages that are waiting or in flight.
    async fn depth(&self, queue: &str) -> usize {
        let request = self.sqs().await.get_queue_attributes().queue_url(queue).attribute_names(QueueAttributeName::All);
        let attributes = request.send().await.unwrap().attributes.unwrap();
        let number = |name| attributes.get(&name).map_or(0, |value| value.parse::<usize>().unwrap());
        number(QueueAttributeName::ApproximateNumberOfMessages)
            + number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
    }

    /// Waits until the ingest queue has no waiting and no in-flight messages.
    pub(crate) async fn wait_for_empty_ingest_queue(&self) {
        wait_until("the ingest queue is empty", 2 * WAIT_TIMEOUT, async || {
            (self.depth(self.ingest_queue()).await == 0).then_some(())
        })
        .await;
    }

    /// Number of messages in the dead-letter queue of the ingest queue.
    pub(crate) async fn dead_letter_count(&self) -> usize {
        self.depth(&self.ingest_dead_letter_queue()).await
    }

    /// Turns off the bucket's notifications, as if all later events were lost.
    pub(crate) async fn disable_bucket_events(&self) {
        let nothing = NotificationConfiguration::builder().build();
        let request = self.s3().await.put_bucket_notification_configuration().bucket(self.bucket());
        request.notification_configuration(nothing).send().await.unwrap();
    }

    /// Puts a file into the bucket past its presigned URL, as S3 would never accept it.
    pub(crate) async fn store_object(&self, tenant: &TenantUser, document: Uuid, bytes: Vec<u8>) {
        let request = self.s3().await.put_object().bucket(self.bucket()).key(object_key(tenant, document));
        request.body(bytes.into()).send().await.unwrap();
    }

    /// Number of files in the bucket.
    pub(crate) async fn stored_objects(&self) -> usize {
        let listed = self.s3().await.list_objects_v2().bucket(self.bucket()).send().await.unwrap();
        listed.contents().len()
    }

    /// True when a document's file is in the bucket.
    pub(crate) async fn is_stored(&self, tenant: &TenantUser, document: Uuid) -> bool {
        let key = object_key(tenant, document);
        self.s3().await.head_object().bucket(self.bucket()).key(key).send().await.is_ok()
    }
}
