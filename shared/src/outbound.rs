//! Calls to URLs that tenants give: webhooks, data pods. Who names a URL has us call it from inside our network, so it
//! is judged when it is saved ([`TenantUrl`]) and again at each call and each redirect, by the addresses that are
//! dialled.

mod addresses;
mod network;
mod tenant_url;
#[cfg(test)]
mod tests;

use std::{error::Error, iter, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::{Client, Response, redirect, retry};

use network::Network;

pub use addresses::is_public;
pub use network::TestNet;
pub use tenant_url::{Refusal, TenantUrl};

/// Redirects that one call follows.
const REDIRECTS: usize = 3;

/// What one call may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the first look-up to the last byte, redirects included.
    pub total: Duration,
    /// For one connection, TLS included.
    pub connect: Duration,
    /// The body of the answer.
    pub body_bytes: usize,
}

impl Default for Limits {
    /// 10 s, of which 3 s to connect; 256 KiB.
    fn default() -> Self {
        Self { total: Duration::from_secs(10), connect: Duration::from_secs(3), body_bytes: 256 * 1024 }
    }
}

/// What a tenant's server said; any status but a redirect that was followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body, whole.
    pub body: Bytes,
}

/// Why there is no answer. Neither the text nor a cause has the URL, whose path and query may be secret.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The URL, a redirect or a resolved address is one that tenants may not have us call.
    #[error("the URL {0}")]
    Refused(Refusal),
    /// More than three redirects.
    #[error("the URL redirects more than {REDIRECTS} times")]
    TooManyRedirects,
    /// A limit of time passed.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The answer is larger than the limit.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// No such name, no connection, no TLS, or an answer that breaks off or is not HTTP.
    #[error("the server could not be reached")]
    Unreachable(#[source] reqwest::Error),
}

/// The one client for tenants' URLs.
#[derive(Debug, Clone)]
pub struct Outbound {
    http: Client,
    network: Network,
    limits: Limits,
}

impl Outbound {
    /// Makes the client. It reads no setting and no environment: nothing outside of the code weakens it.
    ///
    /// # Errors
    /// The TLS library's, when the machine has no root certificates.
    pub fn new(limits: Limits) -> reqwest::Result<Self> {
        Self::over(Network::Internet, limits)
    }

    /// Makes a client with the same guard over a little internet of local servers. Product code has no business here.
    ///
    /// # Errors
    /// As [`Outbound::new`].
    pub fn for_tests(net: TestNet, limits: Limits) -> reqwest::Result<Self> {
        Self::over(Network::Test(net), limits)
    }

    fn over(network: Network, limits: Limits) -> reqwest::Result<Self> {
        let http = Client::builder()
            .dns_resolver(network.clone())
            .https_only(matches!(network, Network::Internet))
            // A proxy would resolve the name itself, and judge nothing.
            .no_proxy()
            // `follow` does it: reqwest asks no resolver about a host that is an address, hands the caller's own headers
            // on to other hosts, and makes a GET of a POST.
            .redirect(redirect::Policy::none())
            // Whether a failed call is repeated is its caller's choice: a webhook counts its attempts.
            .retry(retry::never())
            // Each call dials anew and is judged anew; between two calls the environment may have been frozen for hours.
            .pool_max_idle_per_host(0)
            .connect_timeout(limits.connect)
            .user_agent("Lisa/1.0")
            .build()?;
        Ok(Self { http, network, limits })
    }

    /// Fetches a URL.
    ///
    /// The headers (a key, say) go to the URL's own host alone: a redirect to another one is followed without them.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub async fn get(&self, url: &TenantUrl, headers: HeaderMap) -> Result<Answer, OutboundError> {
        self.call(Method::GET, url, headers, Bytes::new()).await
    }

    /// Posts JSON, byte for byte: a signature among the headers covers exactly what is sent.
    ///
    /// Of redirects, 307 and 308 are followed, with the headers to the same host alone; 301 to 303 are the answer, since
    /// following them means to GET, and nothing would be delivered.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub async fn post_json(
        &self,
        url: &TenantUrl,
        headers: HeaderMap,
        json: impl Into<Bytes>,
    ) -> Result<Answer, OutboundError> {
        self.call(Method::POST, url, headers, json.into()).await
    }

    async fn call(
        &self,
        method: Method,
        url: &TenantUrl,
        headers: HeaderMap,
        json: Bytes,
    ) -> Result<Answer, OutboundError> {
        // Over all redirects: a timeout of the client's would start anew with each.
        tokio::time::timeout(self.limits.total, Box::pin(self.follow(method, url, headers, json)))
            .await
            .unwrap_or(Err(OutboundError::TimedOut))
    }

    async fn follow(
        &self,
        method: Method,
        url: &TenantUrl,
        mut headers: HeaderMap,
        json: Bytes,
    ) -> Result<Answer, OutboundError> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            let mut request = self.http.request(method.clone(), self.network.target(&url)).headers(headers.clone());
            if method == Method::POST {
                request = request.header(header::CONTENT_TYPE, "application/json").body(json.clone());
            }
            let response = request.send().await.map_err(classify)?;
            let Some(location) = redirect_of(&method, &response) else { return self.read(response).await };
            let location = location.to_str().or(Err(OutboundError::Refused(Refusal::Invalid)))?;
            let next = url.join(location).map_err(OutboundError::Refused)?;
            if next.as_url().origin() != url.as_url().origin() {
                headers.clear();
            }
            url = next;
        }
        Err(OutboundError::TooManyRedirects)
    }

    /// Reads the body as far as the limit; what the answer says of its own length is only the first opinion.
    async fn read(&self, mut response: Response) -> Result<Answer, OutboundError> {
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
        Ok(Answer { status: response.status(), body: body.freeze() })
    }
}

/// Where an answer sends this call on to.
fn redirect_of<'a>(method: &Method, response: &'a Response) -> Option<&'a HeaderValue> {
    let followed = match response.status().as_u16() {
        307 | 308 => true,
        301..=303 => method == Method::GET,
        _ => false,
    };
    response.headers().get(header::LOCATION).filter(|_| followed)
}

/// The resolver's refusal comes back as the cause of a failed connection.
fn classify(error: reqwest::Error) -> OutboundError {
    let mut causes = iter::successors(error.source(), |&cause| cause.source());
    let refusal = causes.find_map(|cause| cause.downcast_ref());
    match refusal {
        Some(&refusal) => OutboundError::Refused(refusal),
        None if error.is_timeout() => OutboundError::TimedOut,
        None => OutboundError::Unreachable(error.without_url()),
    }
}
