//! Calls to Stripe's API.
//!
//! Requests are form-encoded. One timeout covers all attempts of a call. Calls that change something carry an
//! `Idempotency-Key`, and all attempts of a call carry an equal one.

use std::{sync::LazyLock, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;
use reqwest::{Method, StatusCode, header};
use serde_json::Value;
use uuid::Uuid;

use super::event::Subscription;
use crate::{error::ApiError, settings::Settings};

const BASE_URL: &str = "https://api.stripe.com";
/// API version that this code was written for. Stripe answers in the requested version, whatever the account's
/// default.
const API_VERSION: &str = "2026-09-30.endive";
/// Timeout of one call with all its attempts.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);
/// Timeout of one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Attempts of one call, the first included.
const MAX_ATTEMPTS: u32 = 3;
/// Subscriptions per page of a list; Stripe's maximum is 100.
const PAGE_SIZE: usize = 100;

/// Time after which a Checkout Session expires by itself, when Stripe's answer does not say so.
const SESSION_LIFETIME: TimeDelta = TimeDelta::hours(24);

/// A client of Stripe's API, for one account.
#[derive(Clone)]
pub struct StripeClient {
    http: reqwest::Client,
    base_url: String,
    key: String,
    version: String,
}

/// Error of a call to Stripe.
#[derive(Debug, thiserror::Error)]
pub enum StripeError {
    /// Stripe answered with an error. Its text for developers may repeat the request's fields, so only its length is
    /// shown.
    #[error("Stripe refused with {status}: {kind} {code} {param}, {} characters", .message.chars().count())]
    Refused {
        /// HTTP status.
        status: u16,
        /// Stripe's type of the error, such as `invalid_request_error`.
        kind: String,
        /// Stripe's code of the error, such as `resource_missing`; empty when the error has none.
        code: String,
        /// Name of the wrong parameter; empty when the error names none.
        param: String,
        /// Stripe's text for developers.
        message: String,
    },
    /// Stripe did not answer, or not in time.
    #[error("Stripe could not be reached")]
    Unreachable(#[source] Option<reqwest::Error>),
    /// Stripe's answer has another shape than expected.
    #[error("Stripe's answer cannot be read: {0}")]
    InvalidResponse(&'static str),
}

impl StripeError {
    /// True when the object that the call named does not exist.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "resource_missing")
    }

    /// True when this parameter names an object that does not exist.
    #[must_use]
    pub fn is_missing_param(&self, name: &str) -> bool {
        matches!(self, Self::Refused { param, .. } if self.is_missing() && param == name)
    }

    /// True when the customer is billed in another currency. Stripe's error has no code for it.
    #[must_use]
    pub fn is_about_currencies(&self) -> bool {
        matches!(self, Self::Refused { status: 400, message, .. } if message.contains("combine currencies"))
    }

    /// True when Stripe refused the fields of a call, so that a repetition is refused, too. The API key, its rights and
    /// the rate of calls are not of the call's fields.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused { status: 400..=499, .. })
            && !matches!(self, Self::Refused { status: 401 | 403 | 409 | 429, .. })
    }

    /// True when a later call with equal fields may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            Self::Unreachable(_) => true,
            Self::InvalidResponse(_) => false,
        }
    }
}

impl From<StripeError> for ApiError {
    fn from(error: StripeError) -> Self {
        if error.is_transient() { Self::unavailable().with_source(error) } else { Self::internal().with_source(error) }
    }
}

/// The fields of a new Checkout Session for a subscription.
#[derive(Debug)]
pub struct CheckoutRequest<'a> {
    /// Id of the plan's price (`price_…`).
    pub price: &'a str,
    /// Name of the plan. Stripe returns it in the subscription's metadata.
    pub plan: &'a str,
    /// `users.id`. Stripe returns it as `client_reference_id` and in the subscription's metadata.
    pub user: Uuid,
    /// Id of the tenant, shown in Stripe's dashboard only.
    pub tenant: Uuid,
    /// Customer at Stripe (`cus_…`), when one exists.
    pub customer: Option<&'a str>,
    /// Email address that the page is prefilled with, used only without a customer.
    pub email: &'a str,
    /// URL that the page leads to after the payment.
    pub success_url: &'a str,
    /// URL that the page leads to when the buyer cancels.
    pub cancel_url: &'a str,
}

/// A new Checkout Session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckoutSession {
    /// Id of the session (`cs_…`).
    pub id: String,
    /// URL of the page on which it is paid.
    pub url: String,
    /// Time after which it can no longer be paid.
    pub expires_at: DateTime<Utc>,
}

impl CheckoutSession {
    fn read(session: &Value) -> Option<Self> {
        let text = |name: &str| session[name].as_str().map(str::to_owned);
        let expires_at = session["expires_at"].as_i64().and_then(|time| DateTime::from_timestamp(time, 0));
        let expires_at = expires_at.unwrap_or_else(|| crate::clock::now() + SESSION_LIFETIME);
        Some(Self { id: text("id")?, url: text("url")?, expires_at })
    }
}

/// The fields of a new item of the customer's next invoice.
#[derive(Debug)]
pub struct InvoiceItem<'a> {
    /// Customer (`cus_…`).
    pub customer: &'a str,
    /// Amount in the currency's minor units.
    pub amount: i64,
    /// ISO 4217 code, such as `EUR`.
    pub currency: &'a str,
    /// Text on the invoice.
    pub description: &'a str,
    /// Start and end of the period that the item is for.
    pub period: (DateTime<Utc>, DateTime<Utc>),
    /// `billing_records.id`. Stripe returns it in the metadata of the invoice's line.
    pub record: Uuid,
}

/// An invoice item as it is at Stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceItemState {
    /// Id of the item (`ii_…`).
    pub id: String,
    /// Customer whose invoice contains the item (`cus_…`).
    pub customer: String,
    /// Invoice that contains the item (`in_…`); `None` while the item is pending.
    pub invoice: Option<String>,
}

/// The fields of a new invoice of the customer's pending items.
#[derive(Debug)]
pub struct NewInvoice<'a> {
    /// Customer (`cus_…`).
    pub customer: &'a str,
    /// ISO 4217 code, such as `EUR`.
    pub currency: &'a str,
    /// Payment method (`pm_…`); `None` for the customer's default.
    pub payment_method: Option<String>,
    /// `billing_records.id`, for the invoice's metadata.
    pub record: Uuid,
}

/// An invoice as it is at Stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceState {
    /// Id of the invoice (`in_…`).
    pub id: String,
    /// `draft`, `open`, `paid`, `uncollectible` or `void`.
    pub status: String,
    /// True for an invoice that [`StripeClient::create_invoice`] made.
    pub is_of_overage: bool,
}

impl InvoiceState {
    fn read(object: &Value) -> Option<Self> {
        Some(Self {
            id: object["id"].as_str()?.to_owned(),
            status: object["status"].as_str().unwrap_or_default().to_owned(),
            is_of_overage: object["metadata"]["billing_record_id"].is_string(),
        })
    }

    /// True while the invoice can still be changed and is not charged.
    #[must_use]
    pub fn is_draft(&self) -> bool {
        self.status == "draft"
    }

    /// True when the invoice is paid.
    #[must_use]
    pub fn is_paid(&self) -> bool {
        self.status == "paid"
    }

    /// True when nobody will pay the invoice any more.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        matches!(self.status.as_str(), "void" | "uncollectible")
    }
}

/// A page of the list of all subscriptions.
#[derive(Debug)]
pub struct SubscriptionPage {
    /// Subscriptions of the page.
    pub subscriptions: Vec<Subscription>,
    /// Cursor of the next page; `None` on the last page.
    pub next_cursor: Option<String>,
}

/// State of the collection of a subscription's invoices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectionState {
    /// Stripe collects the invoices.
    Active,
    /// Stripe voids the invoices: nothing is charged for the time of the pause, then or later.
    Paused,
}

impl StripeClient {
    /// Reads STRIPE_SECRET_KEY, STRIPE_BASE_URL and STRIPE_API_VERSION; `None` without a key.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        // Parsing the system's certificates takes longer than a whole request, so a process has one HTTP client.
        static HTTP: LazyLock<reqwest::Client> = LazyLock::new(|| {
            let builder = reqwest::Client::builder().timeout(ATTEMPT_TIMEOUT).connect_timeout(Duration::from_secs(2));
            // No idle connections: after an hour in which the function was frozen, each of them is dead.
            builder.redirect(reqwest::redirect::Policy::none()).pool_max_idle_per_host(0).build().unwrap_or_default()
        });
        let base_url = settings.url("STRIPE_BASE_URL", BASE_URL);
        let version = settings.text("STRIPE_API_VERSION", API_VERSION);
        let key = settings.optional_secret("STRIPE_SECRET_KEY")?;
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            settings.problem("STRIPE_SECRET_KEY is not a key");
        }
        Some(Self { http: HTTP.clone(), base_url, key, version })
    }

    /// True when the key is of Stripe's live mode: `sk_live_…` or `rk_live_…`.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.key.contains("_live_")
    }

    /// Creates a Checkout Session. `key` is the call's `Idempotency-Key`.
    ///
    /// # Errors
    /// Returns [`StripeError`] when the call fails.
    pub async fn create_checkout_session(
        &self,
        checkout: &CheckoutRequest<'_>,
        key: &str,
    ) -> Result<CheckoutSession, StripeError> {
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
        CheckoutSession::read(&session).ok_or(StripeError::InvalidResponse("a session without an id or a URL"))
    }

    /// Creates a session of the Billing Portal and returns its URL. `key` is the call's `Idempotency-Key`.
    ///
    /// # Errors
    /// Returns [`StripeError`] when the call fails.
    pub async fn create_portal_session(
        &self,
        customer: &str,
        return_url: &str,
        key: &str,
    ) -> Result<String, StripeError> {
        let form = [("customer", customer), ("return_url", return_url)];
        let session = self.post("/v1/billing_portal/sessions", &form, key).await?;
        session["url"].as_str().map(str::to_owned).ok_or(StripeError::InvalidResponse("a session without a URL"))
    }

    /// Fetches a subscription's present state.
    ///
    /// # Errors
    /// Returns [`StripeError`] when the call fails.
    pub async fn get_subscription(&self, id: &str) -> Result<Subscription, StripeError> {
        let object = self.call(Method::GET, &format!("/v1/subscriptions/{}", path_part(id)), &[], None).await?;
        Subscription::read(&object).ok_or(StripeError::InvalidResponse("a subscription without an id"))
    }

    /// Pauses or resumes the collection of a subscription's invoices. Its status does not change by that. `key` is the
    /// call's `Idempotency-Key`.
    ///
    /// # Errors
    /// Returns [`StripeError`] when the call fails.
    pub async fn set_collection(&self, id: &str, state: CollectionState, key: &str) -> Result<(), StripeError> {
        let form = match state {
            CollectionState::Paused => [("pause_collection[behavior]", "void")],
            // An empty value unsets a field.
            CollectionState::Active => [("pause_collection", "")],
        };
        self.post(&format!("/v1/subscriptions/{}", path_part(id)), &form, key).await.map(drop)
    }

    /// Fetches a page of all subscriptions, ended ones included, the newest first.
    ///
    /// # Errors
    /// Returns [`StripeError`] when the call fails.
    pub async fn list_subscriptions(&self, after: Option<&str>) -> Result<SubscriptionPage, StripeError> {
        let limit = PAGE_SIZE.to_string();
        let mut query = vec![("status", "all"), ("limit", limit.as_str())];
        query.extend(after.map(|after| ("starting_after", after)));
        let list = self.call(Method::GET, "/v1/subscriptions", &query, None).await?;
        let data = list["data"].as_array().ok_or(StripeError::InvalidResponse("a list without data"))?;
        let page: Option<Vec<_>> = data.iter().map(Subscription::read).collect();
        let page = page.ok_or(StripeError::InvalidResponse("a subscription without an id"))?;
        let has_more = list["has_more"].as_bool().unwrap_or_default();
        let next = page.last().filter(|_| has_more).map(|last| last.id.clone());
        Ok(SubscriptionPage { subscriptions: page, next_cursor: next })
    }

    /// Lists a customer's subscriptions that have not ended, at most 100.
    ///
    /// # Errors
    /// Returns [`StripeError`] when the call fails.
    pub async fn list_open_subscriptions(&self, customer: &str) -> Result<Vec<Subscription>, StripeError> {
        let query = [("customer", customer), ("limit", "100")];
        let list = self.call(Method::GET, "/v1/subscriptions", &query, None).await?;
        let data = list["data"].as_array().ok_or(StripeError::InvalidResponse("a list without data"))?;
        let read: Option<_> = data.iter().map(Subscription::read).collect();
        read.ok_or(StripeError::InvalidResponse("a subscription without an id"))
    }

    /// Adds a pending item, which the customer's next invoice contains. `key` is the call's `Idempotency-Key`.
    ///
    /// # Errors
    /// Returns [`StripeError`] when the call fails.
    pub async fn add_invoice_item(&self, item: &InvoiceItem<'_>, key: &str) -> Result<InvoiceItemState, StripeError> {
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
        read_invoice_item(&made).ok_or(StripeError::InvalidResponse("an invoice item without an id or a customer"))
    }

    /// Fetches an invoice item.
    ///
    /// # Errors
    /// Returns [`StripeError`] when the call fails.
    pub async fn get_invoice_item(&self, id: &str) -> Result<InvoiceItemState, StripeError> {
        let object = self.call(Method::GET, &format!("/v1/invoiceitems/{}", path_part(id)), &[], None).await?;
        read_invoice_item(&object).ok_or(StripeError::InvalidResponse("an invoice item without an id or a customer"))
    }

    /// Finds the invoice item that an earlier call added for a billing record.
    ///
    /// Stripe forgets an `Idempotency-Key` after a day, but a job may be retried later than that.
    ///
    /// # Errors
    /// Returns [`StripeError`] when the call fails.
    pub async fn find_invoice_item(
        &self,
        customer: &str,
        record: Uuid,
    ) -> Result<Option<InvoiceItemState>, StripeError> {
        let record = record.to_string();
        let mut after: Option<String> = None;
        loop {
            let mut query = vec![("customer", customer), ("limit", "100")];
            query.extend(after.as_deref().map(|after| ("starting_after", after)));
            let list = self.call(Method::GET, "/v1/invoiceitems", &query, None).await?;
            let items = list["data"].as_array().ok_or(StripeError::InvalidResponse("a list without data"))?;
            let found = items.iter().find(|item| item["metadata"]["billing_record_id"] == record.as_str());
            if let Some(found) = found {
                return Ok(read_invoice_item(found));
            }
            let last = items.last().and_then(|last| last["id"].as_str()).map(str::to_owned);
            match last.filter(|_| list["has_more"] == true) {
                Some(last) => after = Some(last),
                None => return Ok(None),
            }
        }
    }

    /// Makes a draft invoice of the customer's pending items in this currency. Stripe finalises a draft by itself after an
    /// hour. `key` is the call's `Idempotency-Key`.
    ///
    /// # Errors
    /// Returns [`StripeError`] when the call fails.
    pub async fn create_invoice(&self, invoice: &NewInvoice<'_>, key: &str) -> Result<InvoiceState, StripeError> {
        let currency = invoice.currency.to_lowercase();
        let record = invoice.record.to_string();
        let mut form = vec![
            ("customer", invoice.customer),
            ("currency", &currency),
            ("pending_invoice_items_behavior", "include"),
            ("auto_advance", "true"),
            ("metadata[billing_record_id]", &record),
        ];
        form.extend(invoice.payment_method.as_deref().map(|method| ("default_payment_method", method)));
        let made = self.post("/v1/invoices", &form, key).await?;
        InvoiceState::read(&made).ok_or(StripeError::InvalidResponse("an invoice without an id"))
    }

    /// Fetches an invoice.
    ///
    /// # Errors
    /// Returns [`StripeError`] when the call fails.
    pub async fn get_invoice(&self, id: &str) -> Result<InvoiceState, StripeError> {
        let object = self.call(Method::GET, &format!("/v1/invoices/{}", path_part(id)), &[], None).await?;
        InvoiceState::read(&object).ok_or(StripeError::InvalidResponse("an invoice without an id"))
    }

    /// Finalises a draft invoice, which Stripe then charges. `key` is the call's `Idempotency-Key`.
    ///
    /// # Errors
    /// Returns [`StripeError`] when the call fails.
    pub async fn finalize_invoice(&self, id: &str, key: &str) -> Result<InvoiceState, StripeError> {
        let path = format!("/v1/invoices/{}/finalize", path_part(id));
        let made = self.post(&path, &[("auto_advance", "true")], key).await?;
        InvoiceState::read(&made).ok_or(StripeError::InvalidResponse("an invoice without an id"))
    }

    pub(super) async fn post(&self, path: &str, form: &[(&str, &str)], key: &str) -> Result<Value, StripeError> {
        self.call(Method::POST, path, form, Some(key)).await
    }

    /// Sends a request, with up to [`MAX_ATTEMPTS`] attempts within [`CALL_TIMEOUT`]. An error that Stripe marks as
    /// final is not retried.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
        key: Option<&str>,
    ) -> Result<Value, StripeError> {
        let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let retries = async {
            let mut attempts = 1;
            loop {
                match self.attempt(&method, path, &encoded, key).await {
                    Err(AttemptError { error, is_retryable: true }) if attempts < MAX_ATTEMPTS => {
                        tracing::debug!(tried = attempts, %error, "Stripe is asked again");
                        // Exponential backoff, 2^n × 200 ms, with jitter over its upper half.
                        let wait_ms = 200 * 2_u64.pow(attempts);
                        let wait_ms = rand::rng().random_range(wait_ms / 2..=wait_ms);
                        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                        attempts += 1;
                    }
                    outcome => return outcome.map_err(|error| error.error),
                }
            }
        };
        tokio::time::timeout(CALL_TIMEOUT, retries).await.unwrap_or(Err(StripeError::Unreachable(None)))
    }

    async fn attempt(
        &self,
        method: &Method,
        path: &str,
        encoded: &str,
        key: Option<&str>,
    ) -> Result<Value, AttemptError> {
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
        // The URL is removed from the error, since it holds customers' ids.
        let unreachable = |error: reqwest::Error| AttemptError {
            error: StripeError::Unreachable(Some(error.without_url())),
            is_retryable: true,
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let should_retry = response.headers().get("stripe-should-retry").map(|value| value == "true");
        let body = response.bytes().await.map_err(unreachable)?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            let object = body.is_object().then_some(body);
            return object
                .ok_or(AttemptError { error: StripeError::InvalidResponse("no object"), is_retryable: false });
        }
        let text = |name: &str| body["error"][name].as_str().unwrap_or_default();
        let error = StripeError::Refused {
            status: status.as_u16(),
            kind: code_word(text("type")),
            code: code_word(text("code")),
            param: code_word(text("param")),
            message: text("message").to_owned(),
        };
        // 409: an earlier attempt with this key is still in progress.
        let is_retryable =
            status.is_server_error() || matches!(status, StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS);
        Err(AttemptError { error, is_retryable: should_retry.unwrap_or(is_retryable) })
    }
}

/// Returns a code of Stripe, or the name of a parameter such as `items[0][price]`, which are logged. Anything else is left
/// out: it may repeat a field of the request.
fn code_word(text: &str) -> String {
    let is_code = text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_[]".contains(&byte));
    if is_code { text.to_owned() } else { String::new() }
}

/// Encodes an id as a part of a path.
fn path_part(id: &str) -> String {
    url::form_urlencoded::byte_serialize(id.as_bytes()).collect()
}

/// Parses an invoice item. Its customer and its invoice are ids or, when expanded, the objects themselves.
fn read_invoice_item(object: &Value) -> Option<InvoiceItemState> {
    let id_of = |field: &Value| field.as_str().or_else(|| field["id"].as_str()).map(str::to_owned);
    Some(InvoiceItemState {
        id: object["id"].as_str()?.to_owned(),
        customer: id_of(&object["customer"])?,
        invoice: id_of(&object["invoice"]),
    })
}

/// Error of one attempt of a call.
struct AttemptError {
    error: StripeError,
    /// True when another attempt may succeed.
    is_retryable: bool,
}

impl std::fmt::Debug for StripeClient {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the key, which is a secret.
        write!(out, "Client({})", self.base_url)
    }
}
