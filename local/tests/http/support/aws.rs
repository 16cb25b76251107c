//! The queues and the bucket below the product, past it.

use aws_sdk_s3::types::NotificationConfiguration;
use aws_sdk_sqs::types::QueueAttributeName;
use local::testing::servers;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{App, SOON, Tenant, wait_until};

/// The key of a document's file.
pub(crate) fn key(tenant: &Tenant, document: Uuid) -> String {
    format!("tenants/{}/{document}.pdf", tenant.customer_id)
}

/// What S3 says when a document's file has arrived.
pub(crate) fn arrival(tenant: &Tenant, document: Uuid) -> Value {
    let key = key(tenant, document).replace('/', "%2F");
    json!({ "Records": [{ "eventName": "ObjectCreated:Put", "s3": { "object": { "key": key, "size": 1 } } }] })
}

/// An event of the queue with these messages, received for the first time.
pub(crate) fn batch(bodies: &[String]) -> Value {
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

/// A queue that nothing is fed from, so that what is sent to it stays.
pub(crate) async fn own_queue() -> String {
    let client = aws_sdk_sqs::Client::new(&servers().await.unwrap().aws.config());
    client.create_queue().queue_name(Uuid::new_v4().to_string()).send().await.unwrap().queue_url.unwrap()
}

impl App {
    /// Takes the messages that are in a queue.
    pub(crate) async fn taken_from(&self, queue: &str) -> Vec<Value> {
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

    fn dead_letters(&self) -> String {
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

    /// Messages that wait or are worked on.
    async fn depth(&self, queue: &str) -> usize {
        let request = self.sqs().await.get_queue_attributes().queue_url(queue).attribute_names(QueueAttributeName::All);
        let attributes = request.send().await.unwrap().attributes.unwrap();
        let number = |name| attributes.get(&name).map_or(0, |value| value.parse::<usize>().unwrap());
        number(QueueAttributeName::ApproximateNumberOfMessages)
            + number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
    }

    /// Waits until everything that was sent to the ingest queue is done.
    pub(crate) async fn queue_is_empty(&self) {
        wait_until("the ingest queue is empty", 2 * SOON, async || {
            (self.depth(self.ingest_queue()).await == 0).then_some(())
        })
        .await;
    }

    /// Messages that were given up.
    pub(crate) async fn dead(&self) -> usize {
        self.depth(&self.dead_letters()).await
    }

    /// From here on the bucket tells nobody what arrives, as if its events were lost.
    pub(crate) async fn lose_events(&self) {
        let nothing = NotificationConfiguration::builder().build();
        let request = self.s3().await.put_bucket_notification_configuration().bucket(self.bucket());
        request.notification_configuration(nothing).send().await.unwrap();
    }

    /// Whether a document's file is there.
    pub(crate) async fn is_stored(&self, tenant: &Tenant, document: Uuid) -> bool {
        let key = key(tenant, document);
        self.s3().await.head_object().bucket(self.bucket()).key(key).send().await.is_ok()
    }
}
