//! HTTP calls to URLs that tenants configure (webhooks, data pods), guarded against server-side request forgery
//! (SSRF). A tenant's URL is called from inside our network. So it is validated when it is saved ([`TenantUrl`]), and
//! again at each call and each redirect, by the addresses to which the connection is made.

mod addresses;
mod network;
mod tenant_url;
#[cfg(test)]
mod tests;

use std::{error::Error, iter, time::Duration};

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::{Client, Response, redirect, retry};

use network::{LocalSites, OutboundNetwork};

use crate::{
    settings::Settings,
    telemetry::{self, SpanKind},
};

pub use addresses::is_public;
pub use network::TestNet;
pub use tenant_url::{TenantUrl, UrlRefusal};

/// Redirects that one call follows at most.
const MAX_REDIRECTS: usize = 3;

/// Limits of one call.
#[derive(Debug, Clone, Copy)]
pub struct OutboundLimits {
    /// Timeout of the whole call, from the first DNS lookup to the last byte, redirects included.
    pub total: Duration,
    /// Timeout of opening one connection, TLS included.
    pub connect: Duration,
    /// Maximum length of the response body, in bytes.
    pub body_bytes: usize,
}

impl Default for OutboundLimits {
    /// 10 s in total, 3 s to connect, 256 KiB.
    fn default() -> Self {
        Self { total: Duration::from_secs(10), connect: Duration::from_secs(3), body_bytes: 256 * 1024 }
    }
}

/// The response of a tenant's server. It may have any status, except that of a redirect that was followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundResponse {
    /// The HTTP status.
    pub status: StatusCode,
    /// The complete body.
    pub body: Bytes,
}

/// The response to a delivery that follows no redirect ([`Outbound::deliver_json`]). Its body is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryResponse {
    /// The HTTP status, also that of a redirect.
    pub status: StatusCode,
    /// The header `Retry-After`, counted from now.
    pub retry_after: Option<Duration>,
}

/// The reasons why a call got no response. Neither the message nor a cause contains the URL, whose path and query may
/// be secret.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The URL, a redirect or a resolved address must not be called for a tenant.
    #[error("the URL {0}")]
    Refused(UrlRefusal),
    /// The server redirected more than three times.
    #[error("the URL redirects more than {MAX_REDIRECTS} times")]
    TooManyRedirects,
    /// A timeout of [`OutboundLimits`] passed.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The response body is longer than this limit, in bytes.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// The name does not exist, the connection or TLS failed, or the response broke off or is not HTTP.
    #[error("the server could not be reached")]
    Unreachable(#[source] reqwest::Error),
}

/// The HTTP client for tenants' URLs. No other client may call them.
#[derive(Debug, Clone)]
pub struct Outbound {
    http: Client,
    network: OutboundNetwork,
    limits: OutboundLimits,
}

impl Outbound {
    /// Creates the client. It reads no setting and no environment variable, so nothing outside the code can weaken
    /// it.
    ///
    /// # Errors
    /// The TLS library finds no root certificates on the machine.
    pub fn new(limits: OutboundLimits) -> reqwest::Result<Self> {
        Self::with_network(OutboundNetwork::Internet(LocalSites::default()), limits)
    }

    /// Creates the client with the setting OUTBOUND_LOCAL_SITES: names that are served from this machine, for development
    /// and tests. Every other name is guarded as by [`Outbound::new`].
    pub fn read(settings: &mut Settings, limits: OutboundLimits) -> Self {
        let sites = LocalSites::parse(&settings.list("OUTBOUND_LOCAL_SITES", &[])).unwrap_or_else(|problem| {
            settings.problem(format_args!("OUTBOUND_LOCAL_SITES {problem}"));
            LocalSites::default()
        });
        let network = OutboundNetwork::Internet(sites);
        Self::with_network(network.clone(), limits).unwrap_or_else(|error| {
            settings.problem(format_args!("the HTTP client cannot be built: {error}"));
            Self { http: Client::default(), network, limits }
        })
    }

    /// Creates a client for tests, whose network is a simulation with local servers. Its guard is that of
    /// [`Outbound::new`].
    ///
    /// # Errors
    /// The TLS library finds no root certificates on the machine.
    pub fn for_tests(net: TestNet, limits: OutboundLimits) -> reqwest::Result<Self> {
        Self::with_network(OutboundNetwork::Test(net), limits)
    }

    fn with_network(network: OutboundNetwork, limits: OutboundLimits) -> reqwest::Result<Self> {
        let http = Client::builder()
            .dns_resolver(network.clone())
            .https_only(matches!(&network, OutboundNetwork::Internet(sites) if sites.has_no_server()))
            // A proxy would resolve the name itself, without checking the addresses.
            .no_proxy()
            // `follow` follows redirects. reqwest would not ask the resolver about a host that is an IP address,
            // would pass the caller's own headers on to other hosts, and would turn a POST into a GET.
            .redirect(redirect::Policy::none())
            // The caller decides about retries; a webhook counts its attempts.
            .retry(retry::never())
            // No connection is reused: each call resolves and checks the addresses again. Besides, the process may
            // have been frozen for hours between two calls.
            .pool_max_idle_per_host(0)
            .connect_timeout(limits.connect)
            .user_agent("Lisa/1.0")
            .build()?;
        Ok(Self { http, network, limits })
    }

    /// Sends a GET request.
    ///
    /// The headers, which may hold an API key, are sent only to the URL's own origin. A redirect to another origin is
    /// followed without them.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub async fn get(&self, url: &TenantUrl, headers: HeaderMap) -> Result<OutboundResponse, OutboundError> {
        self.call(Method::GET, url, headers, Bytes::new()).await
    }

    /// Sends a POST request with the bytes of `json` unchanged, so that a signature in the headers covers exactly
    /// what is sent.
    ///
    /// The redirects 307 and 308 are followed, with the headers only to the same origin. The redirects 301 to 303 are
    /// returned as the response: following them means a GET, which would deliver nothing.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub async fn post_json(
        &self,
        url: &TenantUrl,
        headers: HeaderMap,
        json: impl Into<Bytes>,
    ) -> Result<OutboundResponse, OutboundError> {
        self.call(Method::POST, url, headers, json.into()).await
    }

    /// Sends a POST request as [`Self::post_json`] does, but follows no redirect and does not read the body of the
    /// response: the status says whether the delivery arrived.
    ///
    /// # Errors
    /// [`OutboundError`], except [`OutboundError::TooManyRedirects`] and [`OutboundError::TooLarge`].
    pub async fn deliver_json(
        &self,
        url: &TenantUrl,
        headers: HeaderMap,
        json: impl Into<Bytes>,
    ) -> Result<DeliveryResponse, OutboundError> {
        let request = self.http.post(self.network.target(url)).headers(headers);
        let request = request.header(header::CONTENT_TYPE, "application/json").body(json.into());
        // Neither the URL, whose path may be secret, nor the body is an attribute, and the receiver is not told the trace.
        let span = telemetry::start_span("POST webhook", SpanKind::Client);
        span.set("http.request.method", "POST");
        let response = tokio::time::timeout(self.limits.total, Box::pin(request.send())).await;
        let response = response.map_or(Err(OutboundError::TimedOut), |response| response.map_err(classify));
        match &response {
            Ok(response) => span.set("http.response.status_code", response.status().as_u16()),
            Err(_) => span.fail("delivery_failed"),
        }
        let response = response?;
        Ok(DeliveryResponse {
            status: response.status(),
            retry_after: parse_retry_after(response.headers().get(header::RETRY_AFTER), crate::clock::now()),
        })
    }

    /// Sends a request within the total timeout.
    async fn call(
        &self,
        method: Method,
        url: &TenantUrl,
        headers: HeaderMap,
        json: Bytes,
    ) -> Result<OutboundResponse, OutboundError> {
        // The timeout covers all redirects together. The client's own timeout would start again with each of them.
        tokio::time::timeout(self.limits.total, Box::pin(self.follow(method, url, headers, json)))
            .await
            .unwrap_or(Err(OutboundError::TimedOut))
    }

    /// Sends a request and follows its redirects.
    async fn follow(
        &self,
        method: Method,
        url: &TenantUrl,
        mut headers: HeaderMap,
        json: Bytes,
    ) -> Result<OutboundResponse, OutboundError> {
        let mut url = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.http.request(method.clone(), self.network.target(&url)).headers(headers.clone());
            if method == Method::POST {
                request = request.header(header::CONTENT_TYPE, "application/json").body(json.clone());
            }
            let response = request.send().await.map_err(classify)?;
            let Some(location) = followed_location(&method, &response) else { return self.read_body(response).await };
            let location = location.to_str().or(Err(OutboundError::Refused(UrlRefusal::Invalid)))?;
            let next = url.join(location).map_err(OutboundError::Refused)?;
            if next.as_url().origin() != url.as_url().origin() {
                headers.clear();
            }
            url = next;
        }
        Err(OutboundError::TooManyRedirects)
    }

    /// Reads the body. The limit also holds while reading, because `Content-Length` may be missing or wrong.
    async fn read_body(&self, mut response: Response) -> Result<OutboundResponse, OutboundError> {
        let limit = self.limits.body_bytes;
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Err(OutboundError::TooLarge(limit));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(classify)? {
            if body.len() + chunk.len() > limit {
                return Err(OutboundError::TooLarge(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(OutboundResponse { status: response.status(), body: body.freeze() })
    }
}

/// Returns the `Location` of a redirect that is followed for this method.
fn followed_location<'a>(method: &Method, response: &'a Response) -> Option<&'a HeaderValue> {
    let followed = match response.status().as_u16() {
        307 | 308 => true,
        301..=303 => method == Method::GET,
        _ => false,
    };
    response.headers().get(header::LOCATION).filter(|_| followed)
}

/// Returns the time from `now` that a header `Retry-After` asks for: seconds, or an HTTP date (RFC 9110, 10.2.3).
fn parse_retry_after(value: Option<&HeaderValue>, now: DateTime<Utc>) -> Option<Duration> {
    let text = value?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => (DateTime::parse_from_rfc2822(text).ok()?.to_utc() - now).to_std().ok(),
    }
}

/// Converts an error of reqwest. A refusal by the resolver ([`OutboundNetwork`]) is a cause of a failed connection.
fn classify(error: reqwest::Error) -> OutboundError {
    let mut causes = iter::successors(error.source(), |&cause| cause.source());
    let refusal = causes.find_map(|cause| cause.downcast_ref());
    match refusal {
        Some(&refusal) => OutboundError::Refused(refusal),
        None if error.is_timeout() => OutboundError::TimedOut,
        None => OutboundError::Unreachable(error.without_url()),
    }
}
