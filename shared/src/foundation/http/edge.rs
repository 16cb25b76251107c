//! The content delivery network (CloudFront) in front of the API, which serves the console and the API under one origin.
//!
//! Behind it, API Gateway sees the network's address instead of the client's. The network states the client's address in
//! a header, which anybody could send to API Gateway directly. So the header counts only beside a secret that the network
//! adds to each request.

use std::net::IpAddr;

use aws_lc_rs::constant_time;
use axum::http::{HeaderMap, HeaderName};

use super::ClientAddress;
use crate::settings::Settings;

/// Header in which the network proves itself.
const EDGE_SECRET: HeaderName = HeaderName::from_static("x-edge-secret");
/// Header in which the network states the client's address, in place of what the client sent.
const VIEWER_ADDRESS: HeaderName = HeaderName::from_static("x-viewer-address");

/// Secrets by which the network is recognised; none without a network.
#[derive(Clone, Default)]
pub struct Edge(Vec<String>);

impl std::fmt::Debug for Edge {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Edge({} secrets)", self.0.len())
    }
}

impl Edge {
    /// Reads EDGE_SECRET, a list of secrets, so that one can be rotated.
    pub fn read(settings: &mut Settings) -> Self {
        Self(settings.secrets("EDGE_SECRET"))
    }

    /// Returns the client's address as the network states it; `None` for a request that did not come through it.
    pub(super) fn client(&self, headers: &HeaderMap) -> Option<ClientAddress> {
        let presented = headers.get(EDGE_SECRET)?.as_bytes();
        let is_known = |secret: &String| constant_time::verify_slices_are_equal(secret.as_bytes(), presented).is_ok();
        if !self.0.iter().any(is_known) {
            return None;
        }
        let address: IpAddr = headers.get(VIEWER_ADDRESS)?.to_str().ok()?.parse().ok()?;
        Some(ClientAddress(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(secrets: &str) -> Edge {
        Edge::read(&mut Settings::new([("EDGE_SECRET".to_owned(), secrets.to_owned())].into()))
    }

    fn client(edge: &Edge, secret: Option<&str>, address: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        if let Some(secret) = secret {
            headers.insert(EDGE_SECRET, secret.parse().unwrap());
        }
        headers.insert(VIEWER_ADDRESS, address.parse().unwrap());
        edge.client(&headers).map(|ClientAddress(address)| address.to_string())
    }

    #[test]
    fn the_stated_address_counts_beside_a_known_secret() {
        let edge = edge("new-secret,old-secret");
        for secret in ["new-secret", "old-secret"] {
            assert_eq!(client(&edge, Some(secret), "198.51.100.10").as_deref(), Some("198.51.100.10"));
        }
        assert_eq!(client(&edge, Some("new-secret"), "2001:db8:0:0::7334").as_deref(), Some("2001:db8::7334"));
    }

    #[test]
    fn a_stated_address_without_the_secret_is_ignored() {
        let edge_with_secret = edge("secret");
        for secret in [None, Some(""), Some("secre"), Some("secret2")] {
            assert_eq!(client(&edge_with_secret, secret, "198.51.100.10"), None, "{secret:?}");
        }
        assert_eq!(client(&edge(""), Some(""), "198.51.100.10"), None, "no secret is configured");
        assert_eq!(client(&edge_with_secret, Some("secret"), "nonsense"), None);
    }
}
