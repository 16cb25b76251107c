//! Outgoing webhooks: the routes, each event from its cause to the receiver, the schedule of attempts, and what a receiver
//! or a URL may do to the product.

mod events;
mod faults;
mod routes;
mod sending;

use std::time::Duration;

use local::fakes::webhook_receiver::{FakeReceiver, ReceivedWebhook};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use uuid::Uuid;

use super::support::{App, TenantUser, WAIT_TIMEOUT, create_queue, sqs_event, wait_until};

const ENDPOINTS: &str = "/api/v1/webhook-endpoints";
const URL: &str = "https://hooks.example.com/in?key=s3cret";

/// The setting that puts a receiver behind `hooks.example.com`, another name to a private address.
fn local_sites(receiver: &FakeReceiver) -> String {
    format!("hooks.example.com={}, private.example.com=10.0.0.7", receiver.address())
}

/// An endpoint of a test.
#[derive(Debug, Clone)]
struct Endpoint {
    id: Uuid,
    secret: String,
}

impl Endpoint {
    fn read(created: &Value) -> Self {
        Self {
            id: created["id"].as_str().unwrap().parse().unwrap(),
            secret: created["secret"].as_str().unwrap().to_owned(),
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("{ENDPOINTS}/{}{rest}", self.id)
    }

    /// Asserts that the library of Standard Webhooks accepts the request, and returns the body.
    #[track_caller]
    fn verify(&self, request: &ReceivedWebhook) -> Value {
        let verified = Webhook::new(&self.secret).unwrap().verify(&request.body, &request.headers);
        verified.unwrap_or_else(|error| panic!("{error}: {:?}", request.headers));
        let body = request.json();
        assert_eq!(body["id"], request.header("webhook-id"));
        body
    }
}

/// Creates an endpoint for these events.
async fn create_endpoint(app: &App, tenant: &TenantUser, url: &str, events: &[&str]) -> Endpoint {
    let body = json!({ "url": url, "events": events });
    Endpoint::read(&app.post(ENDPOINTS).by(tenant).json(&body).await.data(201))
}

/// Waits until a receiver has at least `count` requests, and returns all of them.
async fn wait_for_webhooks(receiver: &FakeReceiver, count: usize) -> Vec<ReceivedWebhook> {
    wait_until(&format!("{count} webhooks"), WAIT_TIMEOUT, async || {
        let received = receiver.received();
        (received.len() >= count).then_some(received)
    })
    .await
}

/// The deliveries of an endpoint, oldest first, as the API lists them.
async fn deliveries(app: &App, tenant: &TenantUser, endpoint: &Endpoint) -> Vec<Value> {
    let listed = app.get(&endpoint.path("/deliveries?limit=100&sort=created_at")).by(tenant).await.json_body(200);
    listed["data"].as_array().unwrap().clone()
}

async fn shown(app: &App, tenant: &TenantUser, endpoint: &Endpoint) -> Value {
    app.get(&endpoint.path("")).by(tenant).await.data(200)
}

/// The product with a receiver and one company. Its webhook queue has no consumer: a test runs the worker itself.
struct Parked {
    app: App,
    receiver: FakeReceiver,
    tenant: TenantUser,
    queue: String,
}

impl Parked {
    async fn start() -> Self {
        let receiver = FakeReceiver::start().await.unwrap();
        let (queue, sites) = (create_queue().await, local_sites(&receiver));
        let app = App::with_settings(&[("WEBHOOK_QUEUE_URL", queue.as_str()), ("OUTBOUND_LOCAL_SITES", &sites)]).await;
        let tenant = app.sign_up("Comptoir Baobab").await;
        Self { app, receiver, tenant, queue }
    }

    async fn endpoint(&self, events: &[&str]) -> Endpoint {
        create_endpoint(&self.app, &self.tenant, URL, events).await
    }

    /// Causes the event `order.created`, and returns the order.
    async fn order(&self) -> Value {
        let body = json!({ "items": [{ "name": "Café", "quantity": 2, "unit_price": "2500" }] });
        self.app.post("/api/v1/orders").by(&self.tenant).json(&body).await.data(201)
    }

    /// Runs the worker with the message of an endpoint.
    async fn work(&self, endpoint: &Endpoint) {
        let message = json!({ "customer_id": self.tenant.customer_id, "endpoint_id": endpoint.id });
        let answer = self.app.stack.invoke("webhook-worker", sqs_event(&[message.to_string()])).await.unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    }

    /// Makes everything due, as if the time of the next attempt had come.
    async fn make_due(&self) {
        self.app
            .sql(
                "update webhook_deliveries set next_attempt_at = now() - interval '1 second' where status = 'pending';
                 update webhook_endpoints set paused_until = null",
            )
            .await;
    }

    async fn deliveries(&self, endpoint: &Endpoint) -> Vec<Value> {
        deliveries(&self.app, &self.tenant, endpoint).await
    }

    /// The only delivery of an endpoint.
    async fn delivery(&self, endpoint: &Endpoint) -> Value {
        let [delivery] = self.deliveries(endpoint).await.try_into().unwrap();
        delivery
    }

    async fn shown(&self, endpoint: &Endpoint) -> Value {
        shown(&self.app, &self.tenant, endpoint).await
    }

    /// Seconds between the last attempt at the only delivery and the next one.
    async fn next_delay(&self) -> Duration {
        let millis =
            "select round(extract(epoch from next_attempt_at - last_attempt_at) * 1000) from webhook_deliveries";
        Duration::from_millis(self.app.number(millis).await.try_into().unwrap())
    }
}
