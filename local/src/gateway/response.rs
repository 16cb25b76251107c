//! Converts a function's answer to an HTTP response.

use anyhow::{Context, Result};
use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Method, Response, StatusCode, header},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

pub(super) fn from_answer(answer: &Value, method: &Method) -> Result<Response<Body>> {
    let status = answer["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
    let status = StatusCode::from_u16(status.context("it has no status")?)?;
    let text = answer["body"].as_str().unwrap_or_default();
    let body = if answer["isBase64Encoded"] == true {
        Body::from(BASE64_STANDARD.decode(text).context("its body is not base64")?)
    } else {
        Body::from(text.to_owned())
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        let name: HeaderName = name.parse().context("a header has an impossible name")?;
        // The HTTP server sets these two headers itself. It cannot know the length of the body that a HEAD leaves out.
        let is_set_by_server =
            (name == header::CONTENT_LENGTH && method != Method::HEAD) || name == header::TRANSFER_ENCODING;
        if !is_set_by_server {
            response.headers_mut().insert(name, header_value(value)?);
        }
    }
    for cookie in answer["cookies"].as_array().into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, header_value(cookie)?);
    }
    Ok(response)
}

fn header_value(value: &Value) -> Result<HeaderValue> {
    HeaderValue::from_str(value.as_str().unwrap_or_default()).context("a header has an impossible value")
}
