//! A fake Stripe with the parts that Lisa uses: Checkout, the customer portal, subscriptions, invoice items and invoices
//! in Stripe's formats and with its errors, and events that it signs and sends. A simple page replaces Checkout's.
//! `cargo stripe-event` and the tests simulate changes.

mod api;
mod events;
mod invoices;
mod pages;

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use axum::Router;
use chrono::{DateTime, TimeDelta, Utc};
use local_postgres::write_private;
use reqwest::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::settings::SettingsMap;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use uuid::Uuid;

pub use events::{SentEvent, StripeChange};

/// The accepted test-mode API key.
const KEY: &str = "sk_test_of_the_fake_stripe";
/// The accepted live-mode API key.
pub const LIVE_KEY: &str = "sk_live_of_the_fake_stripe";
/// An API key that has expired.
pub const EXPIRED_KEY: &str = "rk_test_expired_of_the_fake_stripe";
const PERIOD: TimeDelta = TimeDelta::days(30);

/// A running fake Stripe. Dropping it stops the server.
#[derive(Debug)]
pub struct FakeStripe {
    address: SocketAddr,
    shared: StripeServer,
    _serving: JoinSet<()>,
}

#[derive(Debug, Clone)]
struct StripeServer {
    state: Arc<Mutex<StripeData>>,
    address: SocketAddr,
    /// The file that keeps the data; `None` for data in memory.
    file: Option<PathBuf>,
    http: Client,
    /// One permit per released answer of [`StripeFault::HoldAnswer`].
    released: Arc<Semaphore>,
}

/// The data of the fake.
#[derive(Debug, Default, Serialize, Deserialize)]
struct StripeData {
    /// Checkout Sessions by id.
    sessions: BTreeMap<String, Value>,
    /// Subscriptions by id.
    subscriptions: BTreeMap<String, Value>,
    /// Customers by id. Deleted ones stay, marked `deleted`.
    customers: BTreeMap<String, Value>,
    invoice_items: Vec<Value>,
    /// Charges by id.
    #[serde(default)]
    charges: BTreeMap<String, Value>,
    /// Invoices of invoice items, in the order of their creation.
    #[serde(default)]
    invoices: Vec<Value>,
    /// The fingerprint of the request, the status and the body of the answer, by Idempotency-Key.
    #[serde(skip)]
    answered: BTreeMap<String, (String, u16, Value)>,
    /// The webhook's URL and signing secret.
    #[serde(skip)]
    webhook: Option<(String, String)>,
    /// Fields that replace those of the listed webhook endpoint.
    #[serde(skip)]
    webhook_fields: Option<Value>,
    #[serde(skip)]
    faults: VecDeque<StripeFault>,
    /// Faults of requests to a route: a part of method and path.
    #[serde(skip)]
    route_faults: Option<(String, VecDeque<StripeFault>)>,
    #[serde(skip)]
    requests: Vec<StripeRequest>,
}

/// A simulated failure of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StripeFault {
    /// The request is served as usual: the fault is that of a later request.
    Serve,
    /// The request is rejected with this status and has no effect.
    Refuse(u16),
    /// The request takes effect, but its answer is lost: the client gets a 500.
    LoseAnswer,
    /// The request takes effect, and its answer waits for [`FakeStripe::release`].
    HoldAnswer,
}

/// A received request.
#[derive(Debug, Clone)]
pub struct StripeRequest {
    /// Method and path, such as `POST /v1/checkout/sessions`.
    pub route: String,
    /// The form fields, or the query parameters of a GET.
    pub fields: BTreeMap<String, String>,
    /// The Idempotency-Key header.
    pub key: Option<String>,
    /// The Stripe-Version header.
    pub version: Option<String>,
}

impl FakeStripe {
    /// Starts a fake on a free port. With `file`, the data is kept there between starts.
    ///
    /// # Errors
    /// Fails when the file is damaged or no port is free.
    pub async fn start(file: Option<PathBuf>) -> Result<Self> {
        let state = match file.as_ref().map(fs::read) {
            Some(Ok(bytes)) => {
                serde_json::from_slice(&bytes).context("the fake Stripe's data is damaged: use --reset")?
            }
            _ => StripeData::default(),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free on 127.0.0.1")?;
        let address = listener.local_addr().context("the fake Stripe has no address")?;
        let http = Client::builder().timeout(Duration::from_secs(30)).no_proxy().build()?;
        let shared = StripeServer {
            state: Arc::new(Mutex::new(state)),
            address,
            file,
            http,
            released: Arc::new(Semaphore::new(0)),
        };
        let router = Router::new().merge(api::routes()).merge(pages::routes()).with_state(shared.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the fake Stripe ended");
            }
        });
        Ok(Self { address, shared, _serving: serving })
    }

    /// The base URL, `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The settings that point the functions to this fake.
    #[must_use]
    pub fn settings(&self) -> SettingsMap {
        SettingsMap::from([
            ("STRIPE_BASE_URL".to_owned(), self.base_url()),
            ("STRIPE_SECRET_KEY".to_owned(), KEY.to_owned()),
        ])
    }

    /// Sets the webhook that events are sent to, and its signing secret.
    pub fn send_to(&self, url: &str, secret: &str) {
        self.shared.state().webhook = Some((url.to_owned(), secret.to_owned()));
    }

    /// Changes fields of the webhook endpoint that is listed, such as its `status` or its `enabled_events`. Events are sent
    /// as before.
    pub fn change_webhook(&self, fields: &Value) {
        self.shared.state().webhook_fields = Some(fields.clone());
    }

    /// Queues faults, one per following request.
    pub fn fail(&self, faults: impl IntoIterator<Item = StripeFault>) {
        self.shared.state().faults.extend(faults);
    }

    /// Queues faults for the following requests whose method and path contain this text.
    pub fn fail_route(&self, route: &str, faults: &[StripeFault]) {
        self.shared.state().route_faults = Some((route.to_owned(), faults.iter().copied().collect()));
    }

    /// Removes all queued faults.
    pub fn stop_failing(&self) {
        let mut state = self.shared.state();
        state.faults.clear();
        state.route_faults = None;
    }

    /// Releases one held answer.
    pub fn release(&self) {
        self.shared.released.add_permits(1);
    }

    /// All received requests.
    #[must_use]
    pub fn requests(&self) -> Vec<StripeRequest> {
        self.shared.state().requests.clone()
    }

    /// All invoice items.
    #[must_use]
    pub fn invoice_items(&self) -> Vec<Value> {
        self.shared.state().invoice_items.clone()
    }

    /// All invoices of invoice items, the oldest first.
    #[must_use]
    pub fn invoices(&self) -> Vec<Value> {
        self.shared.state().invoices.clone()
    }

    /// A user's newest subscription.
    #[must_use]
    pub fn subscription_of(&self, user: Uuid) -> Option<Value> {
        self.shared.state().subscription_of(&user.to_string()).cloned()
    }

    /// Changes fields of a customer, such as its `currency`.
    pub fn change_customer(&self, id: &str, fields: &Value) {
        merge(self.shared.state().customers.get_mut(id), fields);
    }

    /// Changes fields of an invoice.
    pub fn change_invoice(&self, id: &str, fields: &Value) {
        merge(self.shared.state().invoices.iter_mut().find(|invoice| invoice["id"] == id), fields);
    }

    /// Changes fields of a subscription, without sending an event.
    pub fn change_subscription(&self, id: &str, fields: &Value) {
        merge(self.shared.state().subscriptions.get_mut(id), fields);
    }

    /// Collects the open invoices: each is paid, or its payment fails. Sends the events.
    ///
    /// # Errors
    /// Fails without a webhook.
    pub async fn collect_invoices(&self, is_paid: bool) -> Result<Vec<SentEvent>> {
        self.shared.collect_invoices(is_paid).await
    }

    /// Stores a subscription unchanged, without sending an event.
    pub fn put_subscription(&self, subscription: Value) {
        let id = subscription["id"].as_str().unwrap_or_default().to_owned();
        self.shared.state().subscriptions.insert(id, subscription);
    }

    /// All subscriptions, ended ones included, by id.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<Value> {
        self.shared.state().subscriptions.values().cloned().collect()
    }

    /// Stores a charge unchanged, without sending an event.
    pub fn put_charge(&self, charge: Value) {
        let id = charge["id"].as_str().unwrap_or_default().to_owned();
        self.shared.state().charges.insert(id, charge);
    }

    /// Deletes all idempotency keys, as Stripe does after a day.
    pub fn forget_keys(&self) {
        self.shared.state().answered.clear();
    }

    /// Applies a change for a user and sends its events.
    ///
    /// # Errors
    /// Fails when the change is not possible.
    pub async fn change(&self, change: &StripeChange) -> Result<Vec<SentEvent>> {
        self.shared.change(change).await
    }
}

impl StripeServer {
    fn state(&self) -> MutexGuard<'_, StripeData> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the data to the file, if there is one.
    fn keep(&self, state: &StripeData) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        write_private(file, &serde_json::to_vec(state)?)
    }
}

impl StripeData {
    /// Takes the next fault for a request.
    fn take_fault(&mut self, route: &str) -> Option<StripeFault> {
        let of_route = self.route_faults.as_mut().filter(|(part, _)| route.contains(part.as_str()));
        of_route.and_then(|(_, faults)| faults.pop_front()).or_else(|| self.faults.pop_front())
    }

    /// The webhook endpoints of the account: the one that events are sent to, for events of all types.
    fn webhook_endpoints(&self) -> Vec<Value> {
        let Some((url, _)) = &self.webhook else { return Vec::new() };
        let mut endpoint = json!({
            "id": "we_local", "object": "webhook_endpoint", "url": url, "status": "enabled", "enabled_events": ["*"],
            "livemode": false,
        });
        if let Some(fields) = &self.webhook_fields {
            merge(Some(&mut endpoint), fields);
        }
        vec![endpoint]
    }

    /// A user's newest subscription; one that has ended only when there is no other.
    fn subscription_of(&self, user: &str) -> Option<&Value> {
        let own = self.subscriptions.values().filter(|one| one["metadata"]["user_id"] == user);
        own.max_by_key(|one| (one["status"] != "canceled", one["created"].as_i64()))
    }

    /// The id of a user's customer, created if missing.
    fn customer(&mut self, user: &str, email: Option<&str>) -> String {
        let known = self.customers.values().find(|one| one["metadata"]["user_id"] == user && one["deleted"] != true);
        if let Some(id) = known.and_then(|known| known["id"].as_str()) {
            return id.to_owned();
        }
        let id = new_id("cus");
        let customer = json!({
            "id": id, "object": "customer", "email": email, "metadata": { "user_id": user },
        });
        self.customers.insert(id.clone(), customer);
        id
    }
}

/// Overwrites fields of an object.
fn merge(object: Option<&mut Value>, fields: &Value) {
    let Some(object) = object else { return };
    for (name, value) in fields.as_object().into_iter().flatten() {
        object[name] = value.clone();
    }
}

fn new_id(prefix: &str) -> String {
    format!("{prefix}_{}", &Uuid::new_v4().simple().to_string()[..24])
}

fn seconds(time: DateTime<Utc>) -> i64 {
    time.timestamp()
}
