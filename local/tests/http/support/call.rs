//! A request that is being made.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
};

use reqwest::{Body, RequestBuilder};
use serde_json::Value;

use super::{Answer, Stream};

/// A request. Awaited, it is sent.
pub(crate) struct Call(RequestBuilder);

impl Call {
    pub(crate) fn new(request: RequestBuilder) -> Self {
        Self(request)
    }

    /// With a token, or that of a tenant's owner.
    pub(crate) fn by(self, token: impl AsRef<str>) -> Self {
        Self(self.0.bearer_auth(token.as_ref()))
    }

    /// Sends it, for an answer that is told while it is made.
    pub(crate) async fn stream(self) -> Result<Stream, Answer> {
        Stream::begin(self.0.send().await.unwrap()).await
    }

    pub(crate) fn header(self, name: &str, value: impl AsRef<str>) -> Self {
        Self(self.0.header(name, value.as_ref()))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        Self(self.0.json(body))
    }

    /// Text that claims to be JSON.
    pub(crate) fn raw_json(self, body: impl Into<Body>) -> Self {
        self.body("application/json", body)
    }

    pub(crate) fn body(self, content_type: &str, body: impl Into<Body>) -> Self {
        Self(self.0.header("content-type", content_type).body(body))
    }
}

impl IntoFuture for Call {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Answer::read(self.0.send().await.unwrap()).await })
    }
}
