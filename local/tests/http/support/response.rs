//! An HTTP response and its assertions, which always check the whole envelope.

use reqwest::{Response, header::HeaderMap};
use serde_json::{Value, json};

use super::logs::plant_answer;

/// A response of the product, read to its end.
#[derive(Debug)]
pub(crate) struct TestResponse {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// The parsed body; null when it is not JSON.
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl TestResponse {
    /// Reads the whole body of a response.
    pub(super) async fn from_response(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        plant_answer(&body);
        Self { status, headers, body, text }
    }

    /// The value of a header; empty when the header is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts the status and returns the JSON body as it is, without unwrapping an envelope.
    #[track_caller]
    pub(crate) fn json_body(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert!(!self.header("x-request-id").is_empty(), "every answer has a request id");
        self.body
    }

    /// Asserts the status and a success envelope, and returns its `data`.
    #[track_caller]
    pub(crate) fn data(self, status: u16) -> Value {
        let mut body = self.json_body(status);
        assert_eq!(body["success"], true, "{body}");
        body["data"].take()
    }

    /// Asserts status 204 without a body.
    #[track_caller]
    pub(crate) fn no_content(self) {
        assert_eq!((self.status, self.text.as_str()), (204, ""));
    }

    /// Asserts an error envelope with this status and code, and returns its `details`.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Value {
        let error = &self.body["error"];
        assert_eq!((self.status, error["code"].as_str()), (status, Some(code)), "{}", self.text);
        let expected = json!({
            "success": false,
            "error": {
                "code": code,
                "message": error["message"].as_str().filter(|message| !message.is_empty()).expect("a sentence"),
                "details": error["details"],
                "request_id": self.header("x-request-id"),
            },
        });
        assert_eq!(self.body, expected);
        assert_eq!(self.header("content-type"), "application/json");
        if status == 401 {
            assert_eq!(self.header("www-authenticate"), "Bearer");
        }
        if status == 503 {
            assert!(self.header("retry-after").parse::<u32>().unwrap() > 0);
        }
        error["details"].clone()
    }

    /// Asserts a 422 whose details name exactly these fields, in this order.
    #[track_caller]
    pub(crate) fn invalid_fields(self, fields: &[&str]) {
        let details = self.refused(422, "validation_failed");
        let named: Vec<_> = details.as_array().unwrap().iter().map(|wrong| wrong["field"].as_str().unwrap()).collect();
        assert_eq!(named, fields);
        assert!(details.as_array().unwrap().iter().all(|wrong| !wrong["message"].as_str().unwrap().is_empty()));
    }
}
