//! Calls to Stripe: form-encoded, with a deadline over all tries, and an `Idempotency-Key` on whatever changes something,
//! the same at each try.

use std::{sync::LazyLock, time::Duration};

use chrono::{DateTime, Utc};
use rand::RngExt;
use reqwest::{Method, StatusCode, header};
use serde_json::Value;
use uuid::Uuid;

use super::event::Subscription;
use crate::{error::ApiError, settings::Settings};

const BASE_URL: &str = "https://api.stripe.com";
/// The version whose shapes this was written for; Stripe answers in it whatever the account's default is.
const VERSION: &str = "2026-09-30.endive";
/// For one call with all its tries.
const DEADLINE: Duration = Duration::from_secs(8);
/// For one try.
const TIMEOUT: Duration = Duration::from_secs(5);
const TRIES: u32 = 3;
/// Subscriptions a page.
const PAGE: usize = 100;

/// The client of one account.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base_url: String,
    key: String,
    version: String,
}

/// Why Stripe did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StripeError {
    /// It refused. Neither the text nor the cause has what was asked.
    #[error("Stripe refused with {status}: {kind} {code} {param}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// `invalid_request_error` and the like.
        kind: String,
        /// `resource_missing` and the like; empty where there is none.
        code: String,
        /// The parameter that is wrong; empty where none is.
        param: String,
        /// For people.
        message: String,
    },
    /// It did not answer in time, or not at all, or said that it cannot now.
    #[error("Stripe could not be reached")]
    Unreachable(#[source] Option<reqwest::Error>),
    /// It answered something else than it should.
    #[error("Stripe's answer cannot be read: {0}")]
    Unreadable(&'static str),
}

impl StripeError {
    /// Whether what was named is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "resource_missing")
    }

    /// Whether the same call may work later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            Self::Unreachable(_) => true,
            Self::Unreadable(_) => false,
        }
    }
}

impl From<StripeError> for ApiError {
    fn from(error: StripeError) -> Self {
        if error.is_transient() { Self::unavailable().because(error) } else { Self::internal().because(error) }
    }
}

/// A Checkout Session for a subscription.
#[derive(Debug)]
pub struct Checkout<'a> {
    /// The price of the plan.
    pub price: &'a str,
    /// The plan's name, which comes back in the subscription's metadata.
    pub plan: &'a str,
    /// `users.id`, which comes back as `client_reference_id` and in the metadata.
    pub user: Uuid,
    /// The tenant, for whoever looks at Stripe's dashboard.
    pub tenant: Uuid,
    /// The customer, where there is one already.
    pub customer: Option<&'a str>,
    /// Else the address that the page begins with.
    pub email: &'a str,
    /// Where the page leads when it is paid.
    pub success_url: &'a str,
    /// Where it leads otherwise.
    pub cancel_url: &'a str,
}

/// An item of the customer's next invoice.
#[derive(Debug)]
pub struct InvoiceItem<'a> {
    /// `cus_…`
    pub customer: &'a str,
    /// In minor units.
    pub amount: i64,
    /// `EUR`
    pub currency: &'a str,
    /// What the customer reads.
    pub description: &'a str,
    /// What it is for.
    pub period: (DateTime<Utc>, DateTime<Utc>),
    /// `billing_records.id`, which comes back in the invoice's line.
    pub record: Uuid,
}

/// A page of all subscriptions.
#[derive(Debug)]
pub struct Subscriptions {
    /// Those of the page.
    pub page: Vec<Subscription>,
    /// What to ask for the next page with.
    pub next: Option<String>,
}

impl Client {
    /// Reads STRIPE_SECRET_KEY, STRIPE_BASE_URL and STRIPE_API_VERSION; `None` without a key.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        // Parsing the system's certificates costs more than a whole request; the functions of a process share it.
        static HTTP: LazyLock<reqwest::Client> = LazyLock::new(|| {
            let builder = reqwest::Client::builder().timeout(TIMEOUT).connect_timeout(Duration::from_secs(2));
            // After an hour in which the function was frozen, every kept connection is dead.
            builder.redirect(reqwest::redirect::Policy::none()).pool_max_idle_per_host(0).build().unwrap_or_default()
        });
        let base_url = settings.optional_url("STRIPE_BASE_URL").unwrap_or_else(|| BASE_URL.to_owned());
        let version = settings.text("STRIPE_API_VERSION", VERSION);
        let key = settings.optional("STRIPE_SECRET_KEY")?;
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            settings.problem("STRIPE_SECRET_KEY is not a key");
        }
        Some(Self { http: HTTP.clone(), base_url, key, version })
    }

    /// Whether its key is for real money: `sk_live_…`, `rk_live_…`.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.key.contains("_live_")
    }

    /// Makes a Checkout Session and returns its id and URL.
    ///
    /// # Errors
    /// [`StripeError`].
    pub async fn check_out(&self, checkout: &Checkout<'_>, key: &str) -> Result<(String, String), StripeError> {
        let (user, tenant) = (checkout.user.to_string(), checkout.tenant.to_string());
        let mut form = vec![
            ("mode", "subscription"),
            ("line_items[0][price]", checkout.price),
            ("line_items[0][quantity]", "1"),
            ("client_reference_id", &user),
            ("subscription_data[metadata][user_id]", &user),
            ("subscription_data[metadata][customer_id]", &tenant),
            ("subscription_data[metadata][plan]", checkout.plan),
            ("success_url", checkout.success_url),
            ("cancel_url", checkout.cancel_url),
        ];
        form.push(match checkout.customer {
            Some(customer) => ("customer", customer),
            None => ("customer_email", checkout.email),
        });
        let session = self.post("/v1/checkout/sessions", &form, key).await?;
        let text = |name: &str| session[name].as_str().map(str::to_owned);
        text("id").zip(text("url")).ok_or(StripeError::Unreadable("a session without an id or a URL"))
    }

    /// Makes a session of the Billing Portal and returns its URL.
    ///
    /// # Errors
    /// [`StripeError`].
    pub async fn open_portal(&self, customer: &str, return_url: &str, key: &str) -> Result<String, StripeError> {
        let form = [("customer", customer), ("return_url", return_url)];
        let session = self.post("/v1/billing_portal/sessions", &form, key).await?;
        session["url"].as_str().map(str::to_owned).ok_or(StripeError::Unreadable("a session without a URL"))
    }

    /// A subscription as it is now.
    ///
    /// # Errors
    /// [`StripeError`].
    pub async fn subscription(&self, id: &str) -> Result<Subscription, StripeError> {
        let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
        let object = self.call(Method::GET, &format!("/v1/subscriptions/{id}"), &[], None).await?;
        Subscription::read(&object).ok_or(StripeError::Unreadable("a subscription without an id"))
    }

    /// A page of all subscriptions, ended ones too, the newest first.
    ///
    /// # Errors
    /// [`StripeError`].
    pub async fn subscriptions(&self, after: Option<&str>) -> Result<Subscriptions, StripeError> {
        let limit = PAGE.to_string();
        let mut query = vec![("status", "all"), ("limit", limit.as_str())];
        query.extend(after.map(|after| ("starting_after", after)));
        let list = self.call(Method::GET, "/v1/subscriptions", &query, None).await?;
        let data = list["data"].as_array().ok_or(StripeError::Unreadable("a list without data"))?;
        let page: Option<Vec<_>> = data.iter().map(Subscription::read).collect();
        let page = page.ok_or(StripeError::Unreadable("a subscription without an id"))?;
        let has_more = list["has_more"].as_bool().unwrap_or_default();
        let next = page.last().filter(|_| has_more).map(|last| last.id.clone());
        Ok(Subscriptions { page, next })
    }

    /// Adds an item to the customer's next invoice and returns its id.
    ///
    /// # Errors
    /// [`StripeError`].
    pub async fn add_invoice_item(&self, item: &InvoiceItem<'_>, key: &str) -> Result<String, StripeError> {
        let currency = item.currency.to_lowercase();
        let amount = item.amount.to_string();
        let [start, end] = [item.period.0, item.period.1].map(|time| time.timestamp().to_string());
        let record = item.record.to_string();
        let form = [
            ("customer", item.customer),
            ("amount", &amount),
            ("currency", &currency),
            ("description", item.description),
            ("period[start]", &start),
            ("period[end]", &end),
            ("metadata[billing_record_id]", &record),
        ];
        let made = self.post("/v1/invoiceitems", &form, key).await?;
        made["id"].as_str().map(str::to_owned).ok_or(StripeError::Unreadable("an invoice item without an id"))
    }

    /// The item that was added for a record before: Stripe forgets an `Idempotency-Key` after a day, a job does not.
    ///
    /// # Errors
    /// [`StripeError`].
    pub async fn find_invoice_item(&self, customer: &str, record: Uuid) -> Result<Option<String>, StripeError> {
        let record = record.to_string();
        let mut after: Option<String> = None;
        loop {
            let mut query = vec![("customer", customer), ("limit", "100")];
            query.extend(after.as_deref().map(|after| ("starting_after", after)));
            let list = self.call(Method::GET, "/v1/invoiceitems", &query, None).await?;
            let items = list["data"].as_array().ok_or(StripeError::Unreadable("a list without data"))?;
            let found = items.iter().find(|item| item["metadata"]["billing_record_id"] == record.as_str());
            if let Some(found) = found {
                return Ok(found["id"].as_str().map(str::to_owned));
            }
            let last = items.last().and_then(|last| last["id"].as_str()).map(str::to_owned);
            match last.filter(|_| list["has_more"] == true) {
                Some(last) => after = Some(last),
                None => return Ok(None),
            }
        }
    }

    async fn post(&self, path: &str, form: &[(&str, &str)], key: &str) -> Result<Value, StripeError> {
        self.call(Method::POST, path, form, Some(key)).await
    }

    /// Tries until it is answered, or until the deadline. What Stripe says not to repeat is not repeated.
    async fn call(
        &self,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
        key: Option<&str>,
    ) -> Result<Value, StripeError> {
        let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let tries = async {
            let mut tried = 1;
            loop {
                match self.attempt(&method, path, &encoded, key).await {
                    Err(Failed { error, may_repeat: true }) if tried < TRIES => {
                        tracing::debug!(tried, %error, "Stripe is asked again");
                        // 2^n × 200 ms, half of it by chance.
                        let wait_ms = 200 * 2_u64.pow(tried);
                        let wait_ms = rand::rng().random_range(wait_ms / 2..=wait_ms);
                        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                        tried += 1;
                    }
                    outcome => return outcome.map_err(|failed| failed.error),
                }
            }
        };
        tokio::time::timeout(DEADLINE, tries).await.unwrap_or(Err(StripeError::Unreachable(None)))
    }

    async fn attempt(&self, method: &Method, path: &str, encoded: &str, key: Option<&str>) -> Result<Value, Failed> {
        let url = format!("{}{path}", self.base_url);
        let request = match method {
            &Method::GET if encoded.is_empty() => self.http.get(url),
            &Method::GET => self.http.get(format!("{url}?{encoded}")),
            other => {
                let request = self.http.request(other.clone(), url).body(encoded.to_owned());
                request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            }
        };
        let request = request.bearer_auth(&self.key).header("stripe-version", &self.version);
        let request = match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        // A URL names customers.
        let unreachable = |error: reqwest::Error| Failed {
            error: StripeError::Unreachable(Some(error.without_url())),
            may_repeat: true,
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let advice = response.headers().get("stripe-should-retry").map(|value| value == "true");
        let body = response.bytes().await.map_err(unreachable)?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            let whole = body.is_object().then_some(body);
            return whole.ok_or(Failed { error: StripeError::Unreadable("no object"), may_repeat: false });
        }
        let text = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
        let error = StripeError::Refused {
            status: status.as_u16(),
            kind: text("type"),
            code: text("code"),
            param: text("param"),
            message: text("message"),
        };
        // 409: another try with the same key is still at work.
        let usual = status.is_server_error() || matches!(status, StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS);
        Err(Failed { error, may_repeat: advice.unwrap_or(usual) })
    }
}

struct Failed {
    error: StripeError,
    may_repeat: bool,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not its key.
        write!(out, "Client({})", self.base_url)
    }
}
