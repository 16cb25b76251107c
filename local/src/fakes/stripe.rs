//! Stripe, as far as Lisa talks to it: Checkout, the portal, subscriptions and invoice items in Stripe's shapes and with
//! its errors, and events that it signs and sends. A page stands in for Checkout's; `cargo stripe-event` and the tests
//! make things happen.

mod api;
mod events;
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

pub use events::{Change, Sent};

/// The key that it takes.
const KEY: &str = "sk_test_of_the_fake_stripe";
/// The same for what believes that the money is real.
pub const LIVE_KEY: &str = "sk_live_of_the_fake_stripe";
const PERIOD: TimeDelta = TimeDelta::days(30);

/// A running fake. Dropped, it ends.
#[derive(Debug)]
pub struct FakeStripe {
    address: SocketAddr,
    shared: Shared,
    _serving: JoinSet<()>,
}

#[derive(Debug, Clone)]
struct Shared {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
    /// Where its data is kept.
    file: Option<PathBuf>,
    http: Client,
    /// Answers that may go, of those that are held.
    released: Arc<Semaphore>,
}

/// Everything that it knows.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// Checkout Sessions by id.
    sessions: BTreeMap<String, Value>,
    /// Subscriptions by id.
    subscriptions: BTreeMap<String, Value>,
    /// Deleted customers stay, with `deleted`.
    customers: BTreeMap<String, Value>,
    invoice_items: Vec<Value>,
    /// What was answered to an Idempotency-Key, and to which request.
    #[serde(skip)]
    answered: BTreeMap<String, (String, u16, Value)>,
    /// Where events are sent, and what they are signed with.
    #[serde(skip)]
    webhook: Option<(String, String)>,
    #[serde(skip)]
    faults: VecDeque<Fault>,
    #[serde(skip)]
    requests: Vec<Asked>,
}

/// What goes wrong at the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is refused with this status, before anything is done.
    Refuse(u16),
    /// It is done, but the answer is lost: the connection ends with a 500.
    LoseAnswer,
    /// It is done, and answered when [`FakeStripe::release`] says so.
    HoldAnswer,
}

/// A request that it got.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `POST /v1/checkout/sessions`
    pub route: String,
    /// The form or the query.
    pub fields: BTreeMap<String, String>,
    /// Its Idempotency-Key.
    pub key: Option<String>,
    /// Its Stripe-Version.
    pub version: Option<String>,
}

impl FakeStripe {
    /// Starts one on a free port. What it knows is kept in `file`, where one is named.
    ///
    /// # Errors
    /// A file that is damaged, or no free port.
    pub async fn start(file: Option<PathBuf>) -> Result<Self> {
        let state = match file.as_ref().map(fs::read) {
            Some(Ok(bytes)) => {
                serde_json::from_slice(&bytes).context("the fake Stripe's data is damaged: use --reset")?
            }
            _ => State::default(),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free on 127.0.0.1")?;
        let address = listener.local_addr().context("the fake Stripe has no address")?;
        let http = Client::builder().timeout(Duration::from_secs(30)).no_proxy().build()?;
        let shared =
            Shared { state: Arc::new(Mutex::new(state)), address, file, http, released: Arc::new(Semaphore::new(0)) };
        let router = Router::new().merge(api::routes()).merge(pages::routes()).with_state(shared.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the fake Stripe ended");
            }
        });
        Ok(Self { address, shared, _serving: serving })
    }

    /// `http://127.0.0.1:…`
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The settings that lead functions here.
    #[must_use]
    pub fn settings(&self) -> SettingsMap {
        SettingsMap::from([
            ("STRIPE_BASE_URL".to_owned(), self.base_url()),
            ("STRIPE_SECRET_KEY".to_owned(), KEY.to_owned()),
        ])
    }

    /// Sends events to this URL from now on, signed with this secret.
    pub fn send_to(&self, url: &str, secret: &str) {
        self.shared.state().webhook = Some((url.to_owned(), secret.to_owned()));
    }

    /// Lets the next requests go wrong, one fault each.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.state().faults.extend(faults);
    }

    /// Lets an answer go that is held.
    pub fn release(&self) {
        self.shared.released.add_permits(1);
    }

    /// The requests that it got so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Asked> {
        self.shared.state().requests.clone()
    }

    /// The invoice items that it has.
    #[must_use]
    pub fn invoice_items(&self) -> Vec<Value> {
        self.shared.state().invoice_items.clone()
    }

    /// Puts a subscription there, as it is, without telling anybody.
    pub fn put_subscription(&self, subscription: Value) {
        let id = subscription["id"].as_str().unwrap_or_default().to_owned();
        self.shared.state().subscriptions.insert(id, subscription);
    }

    /// Forgets what it answered to keys, as Stripe does after a day.
    pub fn forget_keys(&self) {
        self.shared.state().answered.clear();
    }

    /// Makes something happen for a user, and sends the events that tell of it.
    ///
    /// # Errors
    /// A change that cannot be.
    pub async fn change(&self, change: &Change) -> Result<Vec<Sent>> {
        self.shared.change(change).await
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what changed.
    fn keep(&self, state: &State) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        write_private(file, &serde_json::to_vec(state)?)
    }
}

impl State {
    /// The customer of a user, made where there is none.
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

fn new_id(prefix: &str) -> String {
    format!("{prefix}_{}", &Uuid::new_v4().simple().to_string()[..24])
}

fn seconds(time: DateTime<Utc>) -> i64 {
    time.timestamp()
}
