//! Processing of a batch of SQS messages, as Lambda delivers it in one event.

use std::time::Duration;

use serde_json::{Value, json};
use tracing::Instrument;

use super::Queue;
use crate::{error::BoxError, logging, telemetry};

/// Timeout of setting the delay of a failed message.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(3);

/// One SQS message of a batch.
#[derive(Debug, Clone, Copy)]
pub struct SqsRecord<'e> {
    /// Body of the message.
    pub body: &'e str,
    /// Number of this delivery, from 1.
    pub attempt: u32,
    /// Message id. A partial batch response names failed messages by it.
    message_id: &'e str,
    /// Id of this delivery, for changing the message's visibility timeout.
    receipt_handle: &'e str,
}

impl Queue {
    /// Processes the messages of an SQS event one after the other with `process`, and returns the partial batch
    /// response that names the failed ones. A failed message is logged, does not stop the others, and becomes visible
    /// again after [`retry_delay`].
    ///
    /// `process` runs in a span of the log with the message id and an empty field `tenant_id`, which it fills by
    /// [`telemetry::record_tenant`], and in a span of the sender's trace.
    ///
    /// # Errors
    /// The event is not an SQS event. The whole invocation fails, because no single message can.
    pub async fn process_batch<'e, F>(
        &self,
        event: &'e Value,
        max_retry_delay: Duration,
        process: impl Fn(SqsRecord<'e>) -> F,
    ) -> Result<Value, BoxError>
    where
        F: Future<Output = Result<(), BoxError>>,
    {
        let mut failures = Vec::new();
        for (record, raw) in records(event)? {
            let trace = self.record_trace(record, raw);
            let span = tracing::error_span!(
                "record",
                message_id = record.message_id,
                tenant_id = tracing::field::Empty,
                trace_id = trace.trace_id(),
            );
            if let Err(error) = telemetry::in_span(&trace, process(record)).instrument(span.clone()).await {
                trace.fail("record_failed");
                self.report_failure(record, max_retry_delay, &error).instrument(span).await;
                failures.push(json!({ "itemIdentifier": record.message_id }));
            }
        }
        Ok(json!({ "batchItemFailures": failures }))
    }

    /// Opens the span of a message in its sender's trace.
    fn record_trace(&self, record: SqsRecord<'_>, raw: &Value) -> telemetry::Span {
        let trace = telemetry::record_span(format!("process {}", self.queue_name()), raw);
        if trace.is_recorded() {
            trace.set("messaging.system", "aws_sqs");
            trace.set("messaging.operation.type", "process");
            trace.set("messaging.destination.name", self.queue_name().to_owned());
            trace.set("messaging.message.id", record.message_id.to_owned());
            trace.set("lisa.attempt", record.attempt);
        }
        trace
    }

    /// Logs the failure of a message and delays its next delivery. The queue's own visibility timeout is meant for
    /// workers that die.
    async fn report_failure(&self, record: SqsRecord<'_>, max_retry_delay: Duration, error: &BoxError) {
        tracing::error!(attempt = record.attempt, error = logging::chain(error.as_ref()), "record failed");
        let delay = retry_delay(record.attempt, max_retry_delay);
        match tokio::time::timeout(VISIBILITY_TIMEOUT, self.change_visibility(record.receipt_handle, delay)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = logging::chain(&error), "the next attempt waits for the queue's own time");
            }
            Err(_) => tracing::warn!("the queue is slow: the next attempt waits for the queue's own time"),
        }
    }
}

/// Returns the delay between the delivery number `attempt` and the next: 2^`attempt` seconds, at most `max`.
#[must_use]
pub fn retry_delay(attempt: u32, max: Duration) -> Duration {
    Duration::from_secs(2_u64.saturating_pow(attempt)).min(max)
}

/// Returns the messages of an SQS event, each with its JSON.
fn records(event: &Value) -> Result<Vec<(SqsRecord<'_>, &Value)>, BoxError> {
    let records = event["Records"].as_array().ok_or("not an event of a queue")?;
    Ok(records
        .iter()
        .map(|raw| {
            let record = SqsRecord {
                body: raw["body"].as_str().unwrap_or_default(),
                attempt: raw["attributes"]["ApproximateReceiveCount"]
                    .as_str()
                    .and_then(|count| count.parse().ok())
                    .unwrap_or(1),
                message_id: raw["messageId"].as_str().unwrap_or_default(),
                receipt_handle: raw["receiptHandle"].as_str().unwrap_or_default(),
            };
            (record, raw)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Read, Write},
        net::{TcpListener, TcpStream},
        sync::{
            Mutex,
            mpsc::{self, Receiver},
        },
        thread,
    };

    use super::*;
    use crate::settings::Settings;

    const MAX_DELAY: Duration = Duration::from_secs(64);

    /// A queue at a fake SQS that answers each request with `status`, and the bodies of the requests.
    fn fake_queue(status: &'static str) -> (Queue, Receiver<Value>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let sender = sender.clone();
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    while let Some(body) = read_body(&stream) {
                        sender.send(body).unwrap();
                        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}").unwrap();
                    }
                });
            }
        });
        let values = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("QUEUE_URL", "http://queue"),
        ];
        let mut settings = Settings::new(values.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let queue = Queue::read(&mut settings, "QUEUE_URL");
        settings.finish().unwrap();
        (queue, requests)
    }

    /// Reads one request and returns its body; `None` when the client has closed the connection.
    fn read_body(stream: &TcpStream) -> Option<Value> {
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        serde_json::from_slice(&body).ok()
    }

    /// An SQS event with one message per body, each delivered for the given time.
    fn event(messages: &[(&str, u32)]) -> Value {
        let records = messages.iter().map(|(body, attempt)| {
            json!({
                "messageId": format!("id of {body}"), "receiptHandle": format!("handle of {body}"), "body": body,
                "attributes": { "ApproximateReceiveCount": attempt.to_string() },
            })
        });
        json!({ "Records": records.collect::<Vec<_>>() })
    }

    #[tokio::test]
    async fn a_failed_message_is_named_and_delayed_and_does_not_stop_the_others() {
        let (queue, requests) = fake_queue("200 OK");
        let processed = Mutex::new(Vec::new());
        let event = event(&[("bad", 3), ("good", 1), ("worse", 12)]);
        let answer = queue
            .process_batch(&event, MAX_DELAY, async |record: SqsRecord<'_>| {
                processed.lock().unwrap().push((record.body.to_owned(), record.attempt));
                if record.body == "good" { Ok(()) } else { Err("does not parse".into()) }
            })
            .await
            .unwrap();

        let failed = ["id of bad", "id of worse"].map(|id| json!({ "itemIdentifier": id }));
        assert_eq!(answer, json!({ "batchItemFailures": failed }));
        let expected = [("bad", 3), ("good", 1), ("worse", 12)].map(|(body, attempt)| (body.to_owned(), attempt));
        assert_eq!(processed.into_inner().unwrap(), expected);
        let delay = |handle: &str, seconds: u64| json!({ "QueueUrl": "http://queue", "ReceiptHandle": handle, "VisibilityTimeout": seconds });
        assert_eq!(requests.try_iter().collect::<Vec<_>>(), [delay("handle of bad", 8), delay("handle of worse", 64)]);
    }

    #[tokio::test]
    async fn a_failed_message_is_named_when_its_delay_cannot_be_set() {
        let (queue, _requests) = fake_queue("400 Bad Request");
        let event = event(&[("bad", 1)]);
        let answer = queue.process_batch(&event, MAX_DELAY, async |_| Err("does not parse".into())).await.unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "id of bad" }] }));
    }

    #[tokio::test]
    async fn an_event_without_messages_of_a_queue_is_an_error() {
        let (queue, _requests) = fake_queue("200 OK");
        for event in [json!(null), json!({}), json!({ "Records": {} })] {
            assert!(queue.process_batch(&event, MAX_DELAY, async |_| Ok(())).await.is_err(), "{event}");
        }
    }

    #[test]
    fn the_delay_doubles_with_each_attempt_up_to_its_maximum() {
        let delays = [1, 2, 6, 7, u32::MAX].map(|attempt| retry_delay(attempt, MAX_DELAY).as_secs());
        assert_eq!(delays, [2, 4, 64, 64, 64]);
    }
}
