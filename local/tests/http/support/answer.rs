//! An answer, and what a test expects of it: always the whole envelope.

use reqwest::{Response, header::HeaderMap};
use serde_json::{Value, json};

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Null where it is not JSON.
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Answer {
    pub(super) async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Self { status, headers, body: serde_json::from_str(&text).unwrap_or_default(), text }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The bare body of an answer with this status.
    #[track_caller]
    pub(crate) fn bare(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert!(!self.header("x-request-id").is_empty(), "every answer has a request id");
        self.body
    }

    /// The data of a successful answer.
    #[track_caller]
    pub(crate) fn data(self, status: u16) -> Value {
        let mut body = self.bare(status);
        assert_eq!(body["success"], true, "{body}");
        body["data"].take()
    }

    /// An answer without a body.
    #[track_caller]
    pub(crate) fn empty(self) {
        assert_eq!((self.status, self.text.as_str()), (204, ""));
    }

    /// The details of a refusal.
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

    /// A 422 that names exactly these fields.
    #[track_caller]
    pub(crate) fn names(self, fields: &[&str]) {
        let details = self.refused(422, "validation_failed");
        let named: Vec<_> = details.as_array().unwrap().iter().map(|wrong| wrong["field"].as_str().unwrap()).collect();
        assert_eq!(named, fields);
        assert!(details.as_array().unwrap().iter().all(|wrong| !wrong["message"].as_str().unwrap().is_empty()));
    }
}
