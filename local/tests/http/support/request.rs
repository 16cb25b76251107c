//! A builder for one HTTP request to the product.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
};

use reqwest::{Body, RequestBuilder};
use serde_json::Value;

use super::{
    EventStream, TestResponse,
    logs::{plant_body, plant_header, plant_raw_body, plant_text},
    plant,
};

/// A request under construction. Awaiting it sends it.
pub(crate) struct TestRequest(RequestBuilder);

impl TestRequest {
    pub(crate) fn new(request: RequestBuilder) -> Self {
        Self(request)
    }

    /// Adds a bearer token, or the token of a signed-in user.
    pub(crate) fn by(self, token: impl AsRef<str>) -> Self {
        plant(token.as_ref());
        Self(self.0.bearer_auth(token.as_ref()))
    }

    /// Sends the request and returns the stream of server-sent events, or the response sent instead of a stream.
    pub(crate) async fn stream(self) -> Result<EventStream, TestResponse> {
        EventStream::from_response(self.0.send().await.unwrap()).await
    }

    pub(crate) fn header(self, name: &str, value: impl AsRef<str>) -> Self {
        plant_header(name, value.as_ref());
        Self(self.0.header(name, value.as_ref()))
    }

    /// Adds a query parameter.
    pub(crate) fn query(self, name: &str, value: &str) -> Self {
        plant_text(name, value);
        let (client, request) = self.0.build_split();
        let mut request = request.unwrap();
        request.url_mut().query_pairs_mut().append_pair(name, value);
        Self(RequestBuilder::from_parts(client, request))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        plant_body(body);
        Self(self.0.json(body))
    }

    /// Sets a text as body with the content type of JSON, whether it is valid JSON or not.
    pub(crate) fn raw_json(self, body: impl Into<Body>) -> Self {
        self.body("application/json", body)
    }

    pub(crate) fn body(self, content_type: &str, body: impl Into<Body>) -> Self {
        let body = body.into();
        plant_raw_body(&body);
        Self(self.0.header("content-type", content_type).body(body))
    }
}

impl IntoFuture for TestRequest {
    type Output = TestResponse;
    type IntoFuture = Pin<Box<dyn Future<Output = TestResponse> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { TestResponse::from_response(self.0.send().await.unwrap()).await })
    }
}
